import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { openViewerVerifier } from "../../services/page/verify-viewer.ts"
import { fillLedger, startPage } from "../fixtures/page-fixture.ts"
import { useTestDatabase } from "../fixtures/test-database.ts"

const database = useTestDatabase()
const audience = "/projects/42/locations/europe-west1/services/daybook-desk"

const keys = generateKeyPairSync("ec", { namedCurve: "P-256" })
const foreign = generateKeyPairSync("ec", { namedCurve: "P-256" })
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 })

let keyServer: Server
let keysAsked = 0
let page: Awaited<ReturnType<typeof startPage>>
beforeAll(async () => {
  keyServer = createServer((_request, response) => {
    keysAsked++
    response.setHeader("content-type", "application/json")
    response.end(
      JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: "jwk" }), kid: "key-1", alg: "ES256" }] }),
    )
  })
  await new Promise<void>((resolve) => keyServer.listen(0, "127.0.0.1", resolve))
  const keysUrl = `http://127.0.0.1:${(keyServer.address() as AddressInfo).port}/keys`
  await fillLedger(database, [{ date: "2026-11-24" }])
  page = await startPage(database, { verify: openViewerVerifier({ audience, keysUrl }) })
})
afterAll(async () => {
  await page?.close()
  keyServer?.close()
})

interface Assertion {
  alg?: string
  kid?: string
  claims?: Record<string, unknown>
  key?: KeyObject
  signature?: (input: string) => Buffer
}

function assertion({
  alg = "ES256",
  kid = "key-1",
  claims = {},
  key = keys.privateKey,
  signature,
}: Assertion = {}): string {
  const now = Math.floor(Date.now() / 1_000)
  const all = {
    iss: "https://cloud.google.com/iap",
    aud: audience,
    sub: "accounts.google.com:1",
    email: "ada@example.com",
    iat: now - 5,
    exp: now + 600,
    ...claims,
  }
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const input = `${part({ alg, typ: "JWT", kid })}.${part(all)}`
  const signed = signature?.(input) ?? sign("sha256", Buffer.from(input), { key, dsaEncoding: "ieee-p1363" })
  return `${input}.${signed.toString("base64url")}`
}

type Init = Omit<RequestInit, "headers"> & { headers?: Record<string, string> }

const open = (token: string | undefined, init: Init = {}) =>
  fetch(`${page.url}${init.method === "POST" ? "/do" : "/"}`, {
    redirect: "manual",
    ...init,
    headers: { ...init.headers, ...(token === undefined ? {} : { "x-goog-iap-jwt-assertion": token }) },
  })

const form = (id: string): Init => ({
  method: "POST",
  headers: { "sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded" },
  body: new URLSearchParams({ do: "start", date: "2026-11-24", form: id, note: "please" }).toString(),
})

const now = Math.floor(Date.now() / 1_000)
const pem = String(keys.publicKey.export({ type: "spki", format: "pem" }))

describe("whoever has no assertion of IAP for this service sees nothing and publishes nothing", () => {
  test.each([
    ["missing", undefined, 401],
    ["not a token", "ada@example.com", 403],
    ["signed by somebody else", assertion({ key: foreign.privateKey }), 403],
    ["signed by a key that nobody knows", assertion({ kid: "key-2", key: foreign.privateKey }), 403],
    ["with a key's name that every object has", assertion({ kid: "constructor", key: foreign.privateKey }), 403],
    ["for another service", assertion({ claims: { aud: audience.replace("desk", "page") } }), 403],
    ["of another issuer", assertion({ claims: { iss: "https://accounts.google.com" } }), 403],
    ["expired", assertion({ claims: { iat: now - 4_000, exp: now - 3_400 } }), 403],
    ["of tomorrow", assertion({ claims: { iat: now + 86_400, exp: now + 87_000 } }), 403],
    ["without an end", assertion({ claims: { exp: undefined } }), 403],
    ["without an address", assertion({ claims: { email: undefined } }), 403],
    ["unsigned", `${assertion({ alg: "none" }).split(".", 2).join(".")}.`, 403],
    [
      "signed with the public key as a password",
      assertion({ alg: "HS256", signature: (input) => createHmac("sha256", pem).update(input).digest() }),
      403,
    ],
    [
      "of another kind of key",
      assertion({ alg: "RS256", signature: (input) => sign("sha256", Buffer.from(input), rsa.privateKey) }),
      403,
    ],
    [
      "changed afterwards",
      assertion().replace(/^([^.]+)\.[^.]+/, `$1.${Buffer.from('{"email":"eve@example.com"}').toString("base64url")}`),
      403,
    ],
  ])("%s", async (_name, token, status) => {
    for (const init of [{}, form("forged")]) {
      const answer = await open(token, init)
      expect(answer.status).toBe(status)
      expect(await answer.text()).not.toContain("1,250,569.79")
    }
    expect(page.published).toEqual([])
    const api = await fetch(`${page.url}/api/now`, {
      headers: token === undefined ? {} : { "x-goog-iap-jwt-assertion": token },
    })
    expect(api.status).toBe(status)
  })
})

test("whoever has one is named on the page, and in what they ask for", async () => {
  const seen = await open(assertion())
  expect(seen.status).toBe(200)
  expect(await seen.text()).toContain("ada@example.com")
  const sent = await open(assertion({ claims: { email: "accounts.google.com:ada@example.com" } }), form("one"))
  expect(sent.status).toBe(303)
  expect(page.published).toEqual([
    {
      topic: "run-requests",
      data: '{"date":"2026-11-24"}',
      asker: { askedBy: "ada@example.com", via: "page", note: "please" },
    },
  ])
})

test("keys are asked for once, not for every request, and not for every forged one", async () => {
  keysAsked = 0
  const forged = (n: number) => assertion({ kid: `key-${n + 10}` })
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => open(forged(n))))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]))
  expect(keysAsked).toBeLessThanOrEqual(1)
})

test("while the keys cannot be had nobody is let in", async () => {
  const blind = await startPage(database, {
    verify: openViewerVerifier({ audience, keysUrl: "http://127.0.0.1:1/keys" }),
  })
  try {
    const answer = await fetch(blind.url, { headers: { "x-goog-iap-jwt-assertion": assertion() } })
    expect(answer.status).toBe(503)
  } finally {
    await blind.close()
  }
})
