import type { lookup } from "node:dns"
import { createServer, type Socket } from "node:net"
import { hostname } from "node:os"
import tls from "node:tls"
import { expect, onTestFinished, test } from "vitest"
import type { AddressKind } from "../../../shared/webhook/classify-address.ts"
import { type Answer, type PostOptions, postOnce } from "../../../shared/webhook/post-once.ts"
import { makeCertificate } from "../../fixtures/make-certificate.ts"
import { startReceiver, type TestReceiver } from "../../fixtures/start-receiver.ts"

const cloud: ReadonlySet<AddressKind> = new Set(["public"])
const local: ReadonlySet<AddressKind> = new Set(["public", "loopback"])
const inside: ReadonlySet<AddressKind> = new Set(["public", "private", "loopback"])

const post = (url: string, options: PostOptions): Promise<Answer> =>
  postOnce(new URL(url), { "content-type": "text/plain" }, "hello", options)

async function receive(...how: Parameters<typeof startReceiver>): Promise<TestReceiver> {
  const receiver = await startReceiver(...how)
  onTestFinished(receiver.stop)
  return receiver
}

/** Resolves names as told, one answer after the other, and the last one again. */
function resolveTo(...answers: string[][]): { resolve: typeof lookup; asked: () => number } {
  let asked = 0
  const resolve = (_name: string, _options: unknown, done: (error: null, addresses: unknown) => void) => {
    const addresses = answers[Math.min(asked++, answers.length - 1)] ?? []
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    )
  }
  return { resolve: resolve as unknown as typeof lookup, asked: () => asked }
}

/** A server that speaks whatever it is told to, and not always HTTP. */
async function startStranger(speak: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    speak(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}/`
}

test("what is posted arrives whole, and the answer comes back", async () => {
  const receiver = await receive((response) => response.writeHead(202).end("thanks"))
  const answer = await post(receiver.url, { allowed: local })
  expect(answer).toEqual({ status: 202, text: "thanks", ms: expect.any(Number) as number })
  expect(receiver.received).toMatchObject([
    { path: "/hook", body: "hello", headers: { "content-length": "5", "content-type": "text/plain" } },
  ])
})

test.each([
  ["loopback", "https://127.0.0.1/"],
  ["loopback as a number", "https://2130706433/"],
  ["loopback in octal digits", "https://0177.0.0.1/"],
  ["loopback in hexadecimal digits", "https://0x7f.1/"],
  ["loopback with a trailing dot", "https://127.0.0.1./"],
  ["loopback of IPv6", "https://[::1]/"],
  ["loopback by a name", "https://localhost/"],
  ["this machine by its name", `https://${hostname()}/`],
  ["a private address", "https://10.0.0.1/"],
  ["the metadata server", "https://169.254.169.254/computeMetadata/v1/"],
  ["the metadata server, mapped", "https://[::ffff:169.254.169.254]/"],
  ["the metadata server through NAT64", "https://[64:ff9b::169.254.169.254]/"],
  ["the metadata server of IPv6", "https://[fd20:ce::254]/"],
  ["every address", "https://0.0.0.0/"],
])("in a cloud %s is not connected to", async (_what, url) => {
  await expect(post(url, { allowed: cloud })).rejects.toThrow("is not connected to: ")
})

test.each([
  ["one private address among public ones", ["93.184.216.34", "10.0.0.1"]],
  ["a mapped one", ["::ffff:10.0.0.1"]],
  ["the metadata server's", ["169.254.169.254"]],
  ["loopback", ["2606:2800:220:1:248:1893:25c8:1946", "::1"]],
])("a name with %s is not connected to at all, and the reason names the address", async (_what, addresses) => {
  const { resolve } = resolveTo(addresses)
  await expect(post("https://chat.example/", { allowed: cloud, resolve })).rejects.toThrow(
    `chat.example is not connected to: ${addresses.at(-1)} is `,
  )
})

test("a dot at the end of a name changes nothing", async () => {
  const { resolve } = resolveTo(["127.0.0.1"])
  for (const url of ["https://localhost./", "https://metadata.google.internal./"]) {
    await expect(post(url, { allowed: cloud, resolve })).rejects.toThrow("127.0.0.1 is a loopback address")
  }
})

test("the metadata server is refused even where private addresses are allowed", async () => {
  const { resolve } = resolveTo(["169.254.169.254"])
  await expect(post("https://metadata.example/", { allowed: inside, resolve })).rejects.toThrow(
    "link-local or reserved",
  )
})

test("a name that leads elsewhere when it is resolved again gains nothing: it is resolved once for each connection", async () => {
  const receiver = await receive()
  const { resolve, asked } = resolveTo(["127.0.0.1"], ["169.254.169.254"])
  const url = `http://rebinding.example:${receiver.port}/`
  expect(await post(url, { allowed: local, resolve })).toMatchObject({ status: 204 })
  expect(asked()).toBe(1)
  expect(receiver.received).toMatchObject([{ headers: { host: `rebinding.example:${receiver.port}` } }])
  await expect(post(url, { allowed: local, resolve })).rejects.toThrow("169.254.169.254 is link-local or reserved")
  expect(asked()).toBe(2)
})

test.each([301, 302, 303, 307, 308])(
  "a redirect by %i to the metadata server is an answer, and not followed",
  async (status) => {
    const elsewhere = await receive()
    const receiver = await receive((response, count) =>
      response.writeHead(status, { location: count > 1 ? "http://169.254.169.254/" : elsewhere.url }).end("over there"),
    )
    expect(await post(receiver.url, { allowed: local })).toMatchObject({ status, text: "over there" })
    expect(await post(receiver.url, { allowed: local })).toMatchObject({ status })
    expect(receiver.received).toHaveLength(2)
    expect(elsewhere.received).toEqual([])
  },
)

test("TLS is for the name: another's certificate, or one that nobody vouches for, ends it before anything is sent", async () => {
  const trusted = makeCertificate("receiver.example")
  const stranger = makeCertificate("receiver.example")
  tls.setDefaultCACertificates([...tls.getCACertificates("default"), trusted.cert])
  const { resolve } = resolveTo(["127.0.0.1"])
  const options = { allowed: local, resolve }
  const good = await receive(undefined, trusted)
  expect(await post(`https://receiver.example:${good.port}/`, options)).toMatchObject({ status: 204 })
  await expect(post(`https://other.example:${good.port}/`, options)).rejects.toThrow("does not match certificate")
  await expect(post(good.url, options)).rejects.toThrow("https://127.0.0.1")
  const bad = await receive(undefined, stranger)
  await expect(post(`https://receiver.example:${bad.port}/`, options)).rejects.toThrow("self-signed certificate")
  expect([good.received.length, bad.received.length]).toEqual([1, 0])
})

test("a receiver that never answers is left after the time that it has", async () => {
  const receiver = await receive(() => {})
  const startedAt = performance.now()
  await expect(post(receiver.url, { allowed: local, msMax: 300 })).rejects.toThrow("has not answered within 0.3 s")
  expect(performance.now() - startedAt).toBeLessThan(5_000)
})

test("so is one that answers a byte at a time, one that never ends its headers, and a name that is never resolved", async () => {
  const drip = (text: string) => (socket: Socket) => {
    socket.write(text)
    const timer = setInterval(() => socket.write("x"), 20)
    socket.on("close", () => clearInterval(timer))
  }
  for (const text of ["", "HTTP/1.1 200 OK\r\nx-a: "]) {
    const url = await startStranger(drip(text))
    await expect(post(url, { allowed: local, msMax: 300 })).rejects.toThrow(`${new URL(url).origin} cannot be notified`)
  }
  const never = { allowed: local, msMax: 300, resolve: (() => {}) as unknown as typeof lookup }
  await expect(post("https://slow.example/", never)).rejects.toThrow("has not answered within 0.3 s")
})

test("an answer without end is read to 1 KB, and is answered by its status", async () => {
  let sent = 0
  const url = await startStranger((socket) => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n")
    const flood = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536, "a"))) sent += 65_536
    }
    socket.on("drain", flood)
    flood()
  })
  const answer = await post(url, { allowed: local })
  expect(answer).toMatchObject({ status: 200, text: "a".repeat(1_024) })
  // What buffers hold on the way, and no more.
  expect(sent).toBeLessThan(20_000_000)
})

test("a body that is never sent, or breaks off, is no reason to doubt the status", async () => {
  const hanging = await receive((response) => response.writeHead(200, { "content-length": 10 }).write("abc"))
  expect(await post(hanging.url, { allowed: local, msMax: 500 })).toMatchObject({ status: 200, text: "abc" })
  const broken = await receive((response) => {
    response.writeHead(500, { "content-length": 10 }).write("abc", () => response.destroy())
  })
  expect(await post(broken.url, { allowed: local })).toMatchObject({ status: 500 })
})

test.each([
  ["hangs up", (socket: Socket) => socket.destroy()],
  ["does not speak HTTP", (socket: Socket) => socket.end("SSH-2.0-OpenSSH\r\n")],
  [
    "changes the protocol",
    (socket: Socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
  ],
  ["sends headers without end", (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${"a".repeat(100_000)}`)],
  [
    "says two lengths",
    (socket: Socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
  ],
])("a receiver that %s has not answered", async (_what, speak) => {
  const url = await startStranger((socket) => socket.once("data", () => speak(socket)))
  await expect(post(url, { allowed: local, msMax: 3_000 })).rejects.toThrow("cannot be notified")
})

test("what is answered does not repeat the path of the URL, which may be a password", async () => {
  const receiver = await receive((response) => response.writeHead(404).end("Cannot POST /services/T0/key?token=abc"))
  const { origin } = new URL(receiver.url)
  const answer = await post(`${origin}/services/T0/key?token=abc`, { allowed: local })
  expect(answer).toMatchObject({ status: 404, text: "Cannot POST /…?…" })
  expect((await post(origin, { allowed: local })).text).toContain("/services/T0/key")
})

test("what is answered holds nothing that a terminal or a log would obey", async () => {
  const receiver = await receive((response) => response.end("a\u001b[31mred\u0007\r\n\u202Eb\u2028c"))
  expect((await post(receiver.url, { allowed: local })).text).toBe("a [31mred b c")
})
