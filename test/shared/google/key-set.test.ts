import { generateKeyPairSync } from "node:crypto"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { type KeySet, openKeySet } from "../../../shared/google/key-set.ts"

const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })

let server: Server
let fetches: number
let status: number
let keyIds: string[]
let keys: KeySet

beforeEach(async () => {
  fetches = 0
  status = 200
  keyIds = ["key-1"]
  server = createServer((_request, response) => {
    fetches++
    const set = keyIds.map((kid) => ({ ...publicKey.export({ format: "jwk" }), kid, alg: "ES256" }))
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ keys: set }))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  vi.useFakeTimers({ toFake: ["Date", "performance"] })
  keys = openKeySet(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`)
})
afterEach(async () => {
  vi.useRealTimers()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const find = (kid: string) => keys({ alg: "ES256", kid })
const pass = (seconds: number) => vi.advanceTimersByTime(seconds * 1_000)

/** Many at once and many one after the other: how many of them found their key. */
async function findMany(count: number, kidOf: (n: number) => string): Promise<number> {
  const together = Array.from({ length: count / 2 }, (_, n) => find(kidOf(n)))
  const found = await Promise.allSettled(together)
  for (let n = count / 2; n < count; n++) found.push(...(await Promise.allSettled([find(kidOf(n))])))
  return found.filter((result) => result.status === "fulfilled").length
}

test("many who ask at once have the keys fetched once", async () => {
  expect(await findMany(200, () => "key-1")).toBe(200)
  expect(fetches).toBe(1)
})

test("two hundred forged key ids have them fetched no more than once a minute", async () => {
  await find("key-1")
  for (let minute = 1; minute <= 3; minute++) {
    pass(61)
    expect(await findMany(200, (n) => `forged-${minute}-${n}`)).toBe(0)
    expect(fetches).toBe(1 + minute)
  }
})

test("a key that is new is found when the last fetch is a minute old, and a withdrawn one is forgotten after ten", async () => {
  await find("key-1")
  keyIds = ["key-2"]
  await expect(find("key-2")).rejects.toThrow("no applicable key")
  pass(61)
  await expect(find("key-2")).resolves.toBeDefined()
  keyIds = ["key-3"]
  pass(599)
  await expect(find("key-2")).resolves.toBeDefined()
  pass(2)
  await expect(find("key-2")).rejects.toThrow("no applicable key")
})

test("while they cannot be had, one who asks tries for all, and those that are known go on", async () => {
  status = 503
  expect(await findMany(200, () => "key-1")).toBe(0)
  expect(fetches).toBe(4)
  await expect(find("key-1")).rejects.toThrow(/^the keys at http.* cannot be read/)
  status = 200
  pass(6)
  expect(await findMany(200, () => "key-1")).toBe(200)
  expect(fetches).toBe(5)
  status = 503
  pass(61)
  await findMany(200, (n) => `forged-${n}`)
  expect(fetches).toBe(9)
  pass(30)
  await findMany(200, (n) => `forged-${n}`)
  expect(await findMany(200, () => "key-1")).toBe(200)
  expect(fetches).toBe(9)
})
