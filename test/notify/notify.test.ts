import { createHmac, randomBytes } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Webhook } from "standardwebhooks"
import { describe, expect, onTestFinished, test } from "vitest"
import { makeCertificate } from "../fixtures/make-certificate.ts"
import { type Notifier, startNotifier } from "../fixtures/start-notifier.ts"
import { type AnswerRequest, type Received, startReceiver } from "../fixtures/start-receiver.ts"

const makeKey = () => `whsec_${randomBytes(32).toString("base64")}`
const key = makeKey()

interface Event {
  id: string
  type: string
  sequence: string
  data: { state: string; changeId: string }
}

/** What a receiver does that trusts nobody: it throws if this is not signed with its key, or too old. */
const verify = ({ body, headers }: Received, secret = key) =>
  new Webhook(secret).verify(body, headers as Record<string, string>) as Event

/** A notifier with its receiver. */
async function notifyTo(answer?: AnswerRequest, settings: Record<string, string> = {}, options = {}) {
  const receiver = await startReceiver(answer)
  onTestFinished(receiver.stop)
  const notifier = await startNotifier({ NOTIFY_URL: receiver.url, NOTIFY_SECRETS: key, ...settings }, options)
  onTestFinished(notifier.stop)
  return { receiver, notifier }
}

const ofFive = { deliveryAttemptsMax: 5 }

const linesOf = async (notifier: Notifier) =>
  (await notifier.readLog()).split("\n").flatMap((line) => (line ? [JSON.parse(line) as Record<string, unknown>] : []))

test("a receiver that verifies with standardwebhooks gets each change of the chosen states, once, and no other", async () => {
  const { receiver, notifier } = await notifyTo()
  for (const state of ["shown", "late", "shown-anew", "held", "incomplete", "drifted", "repaired", "later-than-this"])
    await notifier.publish({ state, version: 1 })
  await notifier.untilIdle()
  const events = receiver.received.map((one) => verify(one))
  expect(events.map(({ data }) => data.state).toSorted()).toEqual(["drifted", "held", "incomplete", "late"])
  expect(events.map(({ id }) => id)).toEqual(receiver.received.map(({ headers }) => headers["webhook-id"]))
  const bySequence = events.toSorted((a, b) => (a.sequence < b.sequence ? -1 : 1))
  expect(bySequence.map(({ data }) => data.changeId)).toEqual(["2", "4", "5", "6"])
  const [first] = receiver.received
  expect(first?.headers["content-type"]).toBe("application/cloudevents+json; charset=utf-8")
  expect(() => verify(first as Received, makeKey())).toThrow("No matching signature")
  expect(() => verify({ ...(first as Received), body: `${first?.body} ` })).toThrow("No matching signature")
})

test("while a key is replaced, receivers of the old one and of the new one can verify, by the scheme's own words", async () => {
  const keys = [makeKey(), makeKey()]
  const { receiver, notifier } = await notifyTo(undefined, { NOTIFY_SECRETS: keys.join(" ") })
  await notifier.publish({ state: "late" })
  await notifier.untilIdle()
  const [sent] = receiver.received as [Received]
  for (const one of keys) expect(verify(sent, one).data.state).toBe("late")
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = sent.headers
  const signed = keys.map((one) =>
    createHmac("sha256", Buffer.from(one.slice("whsec_".length), "base64"))
      .update(`${String(id)}.${String(timestamp)}.${sent.body}`)
      .digest("base64"),
  )
  expect(signature).toBe(`v1,${signed[0]} v1,${signed[1]}`)
})

test("a chat gets a sentence with the link to the page, over TLS, where the URL is the secret", async () => {
  const folder = await mkdtemp(join(tmpdir(), "daybook-tls-"))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const certificate = makeCertificate("localhost")
  await writeFile(join(folder, "ca.pem"), certificate.cert)
  const chat = await startReceiver((response) => response.end("ok"), certificate)
  onTestFinished(chat.stop)
  const notifier = await startNotifier({
    NOTIFY_SECRETS: `https://localhost:${chat.port}/services/T0/B0/password`,
    NOTIFY_FORMAT: "text",
    NOTIFY_STATES: "late",
    PAGE_URL: "https://days.example",
    NODE_EXTRA_CA_CERTS: join(folder, "ca.pem"),
  })
  onTestFinished(notifier.stop)
  await notifier.publish({ state: "late" })
  await notifier.untilIdle()
  expect(chat.received).toMatchObject([
    {
      path: "/services/T0/B0/password",
      headers: { "content-type": "application/json" },
      body: '{"text":"The revenue of 2026-11-22 is late: it was not published by its deadline. https://days.example/?day=2026-11-22"}',
    },
  ])
  expect(chat.received[0]?.headers).not.toHaveProperty("webhook-signature")
  const log = await notifier.readLog()
  expect(log).toContain(`https://localhost:${chat.port}`)
  expect(log).not.toContain("password")
})

test("a receiver that fails, redirects, is busy or hangs up is asked again, with the same id and its own time, until it has it", async () => {
  const answers: AnswerRequest[] = [
    (response) => response.writeHead(500).end("sorry"),
    (response) => response.writeHead(302, { location: "http://169.254.169.254/computeMetadata/v1/" }).end(),
    (response) => response.writeHead(429, { "retry-after": "3600" }).end(),
    (response) => response.writeHead(408).end(),
    (response) => response.writeHead(425).end(),
    (response) => response.destroy(),
    (response) => response.writeHead(200).end("thanks"),
  ]
  const { receiver, notifier } = await notifyTo((response, count) => answers[count - 1]?.(response, count))
  await notifier.publish({ state: "late" })
  await notifier.untilIdle()
  expect(receiver.received).toHaveLength(answers.length)
  expect(new Set(receiver.received.map((one) => verify(one).id)).size).toBe(1)
  const lines = await linesOf(notifier)
  expect(lines.filter(({ severity }) => severity === "ERROR").map(({ error }) => error)).toEqual([
    expect.stringMatching(/answered 500 to the notification 1-\d+: sorry$/),
    expect.stringContaining("answered 302"),
    expect.stringContaining("answered 429"),
    expect.stringContaining("answered 408"),
    expect.stringContaining("answered 425"),
    expect.stringContaining("cannot be notified: socket hang up"),
  ])
  expect(lines.filter(({ message }) => message === "a notification is delivered")).toMatchObject([
    { state: "late", date: "2026-11-22", changeId: "1", status: 200 },
  ])
  // A sentence is enough: what a receiver does is no fault in the code.
  expect(lines.filter((line) => "stack" in line)).toEqual([])
})

test("a receiver that hangs or answers slowly keeps nobody for more than ten seconds, nor others from being notified", async () => {
  const { receiver, notifier } = await notifyTo((response, count) => {
    if (count === 1) return undefined
    if (count === 2) return setTimeout(() => response.writeHead(204).end(), 1_000)
    return response.writeHead(204).end()
  })
  await notifier.publish({ state: "late" })
  await expect.poll(() => receiver.received.length, { timeout: 20_000 }).toBe(1)
  const startedAt = performance.now()
  await notifier.publish({ state: "held", version: 1 })
  await expect.poll(() => receiver.received.length, { timeout: 8_000 }).toBe(2)
  await notifier.untilIdle()
  expect(performance.now() - startedAt).toBeLessThan(30_000)
  expect(receiver.received.map((one) => verify(one).data.state)).toEqual(["late", "held", "late"])
  expect(await notifier.readLog()).toContain("it has not answered within 10 s")
})

test.each([400, 401, 403, 404, 410, 422])(
  "an answer of %i ends the delivery, with a line in the log that an alert looks for",
  async (status) => {
    const { receiver, notifier } = await notifyTo((response) => response.writeHead(status).end("no_such_hook"))
    await notifier.publish({ state: "late" })
    await notifier.untilIdle()
    expect(receiver.received).toHaveLength(1)
    expect(notifier.deadLetters()).toEqual([])
    expect(await linesOf(notifier)).toContainEqual(
      expect.objectContaining({
        severity: "ERROR",
        message: "a notification is refused for good and not sent again",
        service: "notify",
        date: "2026-11-22",
        state: "late",
        status,
        answer: "no_such_hook",
      }),
    )
  },
)

test("what is never taken is a dead letter in the end", async () => {
  const { receiver, notifier } = await notifyTo((response) => response.writeHead(503).end(), {}, ofFive)
  await notifier.publish({ state: "late" })
  await notifier.untilIdle()
  await expect.poll(() => notifier.deadLetters().length).toBe(1)
  expect(receiver.received).toHaveLength(5)
})

test("in a cloud a name that leads to the machine itself is not connected to, and what was for it is a dead letter", async () => {
  const inside = await startReceiver(undefined, makeCertificate("localhost"))
  onTestFinished(inside.stop)
  let connections = 0
  inside.onConnection = () => connections++
  const settings = { NOTIFY_URL: `https://localhost:${inside.port}/`, NOTIFY_SECRETS: key }
  const notifier = await startNotifier(settings, { ...ofFive, asInCloud: true })
  onTestFinished(notifier.stop)
  await notifier.publish({ state: "late" })
  await notifier.untilIdle()
  await expect.poll(() => notifier.deadLetters().length).toBe(1)
  expect(connections).toBe(0)
  expect(await notifier.readLog()).toMatch(/localhost is not connected to: \S+ is a loopback address/)
})

test("nobody but Pub/Sub makes it send anything", async () => {
  const { receiver, notifier } = await notifyTo()
  const message = { data: "e30=", messageId: "1", publishTime: new Date().toISOString() }
  for (const authorization of ["", "Bearer a.b.c"]) {
    const answer = await fetch(`${notifier.service.url}/day-changes`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(authorization ? { authorization } : {}) },
      body: JSON.stringify({ message, subscription: "s" }),
    })
    expect(answer.status).toBe(authorization ? 403 : 401)
  }
  expect(receiver.received).toEqual([])
})

describe("killed", () => {
  test.each(["pushed", "connected", "received", "answered", "acknowledging"] as const)(
    "when a change is %s, nothing is lost, and what comes twice has the same id",
    async (step) => {
      let kills = 0
      const killAt = (at: string) => {
        if (at !== step || kills > 0) return false
        kills++
        return notifier.service.kill("SIGKILL")
      }
      const { receiver, notifier } = await notifyTo((response) => {
        if (!killAt("received")) response.writeHead(204).end(() => killAt("answered"))
      })
      receiver.onConnection = () => killAt("connected")
      notifier.steps.pushed = () => killAt("pushed")
      notifier.steps.answered = () => {
        if (killAt("acknowledging")) throw new Error("the answer is lost with its sender")
      }
      const changeId = await notifier.publish({ state: "late" })
      await notifier.untilIdle()
      expect(kills).toBe(1)
      expect(notifier.service.restarts).toBeGreaterThanOrEqual(1)
      const ids = receiver.received.map((one) => verify(one).id)
      expect(ids.length).toBeGreaterThanOrEqual(1)
      expect(new Set(ids).size).toBe(1)
      expect(ids[0]).toMatch(new RegExp(`^${changeId}-\\d+$`))
      expect(notifier.deadLetters()).toEqual([])
    },
  )

  test("again and again at any moment, it brings every change to its receiver", async () => {
    const { receiver, notifier } = await notifyTo((response) => setTimeout(() => response.writeHead(204).end(), 20))
    const changes = 20
    const killing = (async () => {
      for (let round = 0; round < 6; round++) {
        await notifier.service.ready()
        await new Promise((resolve) => setTimeout(resolve, 30 * round))
        notifier.service.kill("SIGKILL")
      }
    })()
    for (let change = 0; change < changes; change++) {
      await notifier.publish({ state: "drifted", version: 1 })
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await killing
    await notifier.untilIdle()
    const told = new Set(receiver.received.map((one) => Number(verify(one).data.changeId)))
    expect([...told].toSorted((a, b) => a - b)).toEqual(Array.from({ length: changes }, (_, index) => index + 1))
    expect(notifier.deadLetters()).toEqual([])
  })
})
