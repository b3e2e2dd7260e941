import { generateKeyPairSync } from "node:crypto"
import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { pino } from "pino"
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { startPubSub } from "../../../services/emulators/pubsub/server.ts"
import { type PushSigner, signToken, startPushSigner } from "../../../services/emulators/push-token.ts"
import { readPlannerConfig } from "../../../services/planner/config.ts"
import { openPubSub } from "../../../shared/google/open-pubsub.ts"
import { startPushServer } from "../../../shared/messages/push-server.ts"
import {
  createTokenVerifier,
  openTokenVerifier,
  type TokenVerifierOptions,
} from "../../../shared/messages/verify-push-token.ts"

const audience = "https://planner.example"
const account = "push@shop.example"
const now = Math.floor(Date.now() / 1000)
const good = {
  iss: "https://accounts.google.com",
  aud: audience,
  email: account,
  email_verified: true,
  iat: now,
  exp: now + 3600,
}
const strangers = generateKeyPairSync("rsa", { modulusLength: 2048 })

let signer: PushSigner
beforeAll(async () => {
  signer = await startPushSigner()
})
afterAll(() => signer.stop())
afterEach(() => void vi.useRealTimers())

const without = (claim: keyof typeof good) =>
  Object.fromEntries(Object.entries(good).filter(([name]) => name !== claim))
const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url")
/** A token as a service behind Cloud Run's own check sees it. */
const unsigned = (claims: object) =>
  `${encode({ alg: "RS256", kid: "x" })}.${encode(claims)}.SIGNATURE_REMOVED_BY_GOOGLE`

function verifier(options: Partial<TokenVerifierOptions> = {}) {
  const verify = createTokenVerifier({
    audience,
    accounts: [account],
    mode: "verify",
    certsUrl: signer.certsUrl,
    ...options,
  })
  return (token: string) => verify(`Bearer ${token}`)
}

describe("a push token", () => {
  it("of the right account for the right audience is believed", async () => {
    const token = await signer.sign({ audience, serviceAccountEmail: account })
    expect(await verifier()(token)).toEqual({ account })
  })

  it("is refused for another audience, or from another account", async () => {
    const toAnother = await signer.sign({ audience: "https://elsewhere.example", serviceAccountEmail: account })
    expect(await verifier()(toAnother)).toEqual({ refused: "for another audience" })
    const fromAnother = await signer.sign({ audience, serviceAccountEmail: "thief@shop.example" })
    expect(await verifier()(fromAnother)).toEqual({ refused: "from another account" })
  })

  it("that was believed is looked at again: no other with its signature, and not when it has expired", async () => {
    const verify = verifier()
    const token = await signer.sign({ audience, serviceAccountEmail: account })
    expect(await verify(token)).toEqual({ account })
    const [header, , signature] = token.split(".")
    expect(await verify(`${header}.${encode(good)}.${signature}`)).toEqual({ refused: "the signature is not good" })
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * 3600_000 })
    expect(await verify(token)).toEqual({ refused: "expired" })
  })

  it("is refused with a changed claim, another's signature, another key, or none", async () => {
    const token = await signer.sign({ audience, serviceAccountEmail: "thief@shop.example" })
    const [header, , signature] = token.split(".")
    const refused = { refused: "the signature is not good" }
    expect(await verifier()(`${header}.${encode(good)}.${signature}`)).toEqual(refused)
    expect(await verifier()(`${header}.${encode(good)}.`)).toEqual(refused)
    expect(await verifier()(signToken(strangers.privateKey, good))).toEqual(refused)
    expect(await verifier()(signToken(strangers.privateKey, good, { kid: "another" }))).toEqual(refused)
    expect(await verifier()(signToken(strangers.privateKey, good, { kid: "toString" }))).toEqual(refused)
  })

  it("is refused with an algorithm that Google does not use", async () => {
    const refused = { refused: "not a token that Google signs" }
    expect(await verifier()(`${encode({ alg: "none" })}.${encode(good)}.`)).toEqual(refused)
    for (const alg of ["none", "None", "HS256", "ES256", undefined]) {
      expect(await verifier()(signToken(strangers.privateKey, good, { alg }))).toEqual(refused)
    }
  })

  it.each(["", "Bearer", "Bearer a.b", "Bearer a.b.c.d", "Basic YTpi", `Bearer ${"a".repeat(9000)}.b.c`])(
    "is refused when it is none: %j",
    async (authorization) => {
      const verify = createTokenVerifier({ audience, accounts: [account], mode: "trust-cloud-run" })
      expect(await verify(authorization)).toHaveProperty("refused")
    },
  )

  it.each<[string, object]>([
    ["expired", { ...good, exp: now - 600 }],
    ["expired", without("exp")],
    ["not valid yet", { ...good, iat: now + 900 }],
    ["another issuer", { ...good, iss: "https://accounts.example" }],
    ["another issuer", without("iss")],
    ["for another audience", without("aud")],
    ["for another audience", { ...good, aud: [audience, "https://elsewhere.example"] }],
    ["without a verified account", without("email")],
    ["without a verified account", without("email_verified")],
    ["without a verified account", { ...good, email_verified: "true" }],
    ["from another account", { ...good, email: account.toUpperCase() }],
  ])("is refused when it is %s, though it is signed or Cloud Run vouches for it", async (reason, claims) => {
    expect(await verifier({ mode: "trust-cloud-run" })(unsigned(claims))).toEqual({ refused: reason })
  })

  it("that expired is refused though it is signed", async () => {
    const local = await localKey({ ...good, iat: now - 7200, exp: now - 3600 })
    expect(await verifier({ certsUrl: local.certsUrl })(local.token)).toEqual({ refused: "expired" })
    await local.stop()
  })

  it("without its signature is believed only where Cloud Run is trusted", async () => {
    expect(await verifier()(unsigned(good))).toEqual({ refused: "the signature is not good" })
    expect(await verifier({ mode: "trust-cloud-run" })(unsigned(good))).toEqual({ account })
    const almost = unsigned(good).replace("SIGNATURE_REMOVED_BY_GOOGLE", "XSIGNATURE_REMOVED_BY_GOOGLE")
    expect(await verifier({ mode: "trust-cloud-run" })(almost)).toEqual({ refused: "the signature is not good" })
  })

  it("with a bad signature is refused where Cloud Run is trusted, too", async () => {
    const forged = signToken(strangers.privateKey, good)
    expect(await verifier({ mode: "trust-cloud-run" })(forged)).toEqual({ refused: "the signature is not good" })
  })

  it("cannot be checked without the keys, and that is no refusal", async () => {
    const token = await signer.sign({ audience, serviceAccountEmail: account })
    const gone = createServer((_request, response) => response.writeHead(404).end())
    await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve))
    const certsUrl = `http://127.0.0.1:${(gone.address() as AddressInfo).port}/`
    await expect(verifier({ certsUrl })(token)).rejects.toThrow(/^the keys at .* cannot be read/)
    gone.closeAllConnections()
    gone.close()
  })
})

describe("a service's settings", () => {
  const env = {
    DATABASE_URL: "mysql://u@h/d",
    GOOGLE_CLOUD_PROJECT: "shop",
    BUCKET: "b",
    WORKER_JOB: "projects/p/locations/l/jobs/j",
  }

  it("must say whom to believe, unless Pub/Sub is a local one", () => {
    expect(() => readPlannerConfig(env)).toThrow(/PUSH_AUDIENCE is not set[^]*PUSH_ACCOUNTS is not set/)
    const local = readPlannerConfig({ ...env, PUBSUB_EMULATOR_HOST: "127.0.0.1:8085" })
    expect(openTokenVerifier(local)).toBeUndefined()
  })

  it("are strict by default, and no half of them is enough", async () => {
    const config = readPlannerConfig({ ...env, PUSH_AUDIENCE: audience, PUSH_ACCOUNTS: `a@b.c ${account}` })
    expect(config.PUSH_TOKENS).toBe("verify")
    const trusting = openTokenVerifier({ ...config, PUSH_TOKENS: "trust-cloud-run" })
    expect(await trusting?.(`Bearer ${unsigned(good)}`)).toEqual({ account })
    expect(() => openTokenVerifier({ PUSH_TOKENS: "verify", PUSH_AUDIENCE: audience })).toThrow(/together/)
  })
})

describe("a service that asks who calls", () => {
  const taken: string[] = []
  const lines: string[] = []
  let server: { url: string; close(): Promise<void> }
  let token: string
  beforeAll(async () => {
    server = await startPushServer({
      port: 0,
      host: "127.0.0.1",
      log: pino({}, { write: (line: string) => void lines.push(line) }),
      messages: { "/run-requests": async (message) => void taken.push(message.data) },
      calls: { "/sweep": async () => void taken.push("sweep") },
      verify: createTokenVerifier({ audience, accounts: [account], mode: "verify", certsUrl: signer.certsUrl }),
    })
    token = await signer.sign({ audience, serviceAccountEmail: account })
  })
  afterAll(() => server.close())

  it("takes what a push subscription with an identity delivers", async () => {
    const emulator = await startPubSub({ pushTokens: signer.sign })
    const pubsub = openPubSub({ GOOGLE_CLOUD_PROJECT: "shop", PUBSUB_EMULATOR_HOST: `127.0.0.1:${emulator.port}` })
    const [topic] = await pubsub.createTopic("run-requests")
    await topic.createSubscription("planner-run-requests", {
      pushConfig: {
        pushEndpoint: `${server.url}/run-requests`,
        oidcToken: { serviceAccountEmail: account, audience },
      },
    })
    await topic.publishMessage({ data: Buffer.from("hello") })
    await expect.poll(() => taken.splice(0)).toEqual(["hello"])
    await pubsub.close()
    await emulator.stop()
  })

  it("takes a sweep as Cloud Scheduler sends it: without a body, as application/octet-stream", async () => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" }
    expect((await fetch(`${server.url}/sweep`, { method: "POST", headers })).status).toBe(204)
    expect(taken.splice(0)).toEqual(["sweep"])
  })

  it.each<[string, string, RequestInit]>([
    ["no token", "/run-requests", { method: "POST" }],
    ["no token", "/sweep", { method: "POST" }],
    ["no token, another path", "/elsewhere", { method: "POST" }],
    ["another's token", "/sweep", { method: "POST", headers: { authorization: "Bearer a.b.c" } }],
    ["another method", "/run-requests", { method: "PUT", body: "{}" }],
    ["no token, an oversized body", "/run-requests", { method: "POST", body: "x".repeat(1_000_000) }],
  ])("answers 401 or 403 and does nothing: %s", async (_name, path, init) => {
    lines.length = 0
    const answer = await fetch(`${server.url}${path}`, init)
    expect([401, 403]).toContain(answer.status)
    expect(await answer.json()).toEqual({ error: "not for you" })
    expect(taken).toEqual([])
    // The log says why, and holds no token.
    expect(lines.join("")).toContain("a call is refused")
    expect(lines.join("")).not.toContain("a.b.c")
  })

  it.each<[string, RequestInit, number]>([
    ["another method", { method: "PUT", body: "{}" }, 404],
    [
      "another content type",
      { method: "POST", body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } },
      400,
    ],
    ["text", { method: "POST", body: "hello" }, 400],
  ])("answers %s of a proven caller with a fault of the caller's", async (_name, init, status) => {
    const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${token}` }
    const answer = await fetch(`${server.url}/run-requests`, { ...init, headers })
    expect(answer.status).toBe(status)
    expect(taken).toEqual([])
  })

  it("does not read a body that is too big", async () => {
    const { port } = new URL(server.url)
    const socket = connect(Number(port), "127.0.0.1")
    socket.write(
      `POST /run-requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n` +
        "Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n",
    )
    const [answer] = await new Promise<Buffer[]>((resolve) => socket.once("data", (...data) => resolve(data)))
    expect(String(answer)).toMatch(/^HTTP\/1\.1 413 /)
    expect(taken).toEqual([])
    socket.destroy()
  })

  it("tells everybody that it is healthy", async () => {
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
  })
})

/** A signer whose token says what is given. */
async function localKey(claims: object): Promise<{ certsUrl: string; token: string; stop(): Promise<void> }> {
  const key = { ...strangers.publicKey.export({ format: "jwk" }), kid: "local" }
  const keys = createServer((_request, response) => response.end(JSON.stringify({ keys: [key] })))
  await new Promise<void>((resolve) => keys.listen(0, "127.0.0.1", resolve))
  return {
    certsUrl: `http://127.0.0.1:${(keys.address() as AddressInfo).port}/`,
    token: signToken(strangers.privateKey, { ...claims }),
    stop: () => new Promise((resolve) => keys.close(() => resolve())),
  }
}
