import { setTimeout as wait } from "node:timers/promises"
import { pino } from "pino"
import { beforeEach, expect, test } from "vitest"
import type { ThrottleSettings } from "../../../shared/database/find-busy-reason.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { openThrottle, type ThrottleContext } from "../../../shared/database/throttle.ts"
import { useTestDatabase } from "../../fixtures/test-database.ts"

const database = useTestDatabase("CREATE TABLE busy (n INT)")
const setBusy = (isBusy: boolean) =>
  database.query("DELETE FROM busy", ...(isBusy ? ["INSERT INTO busy VALUES (1)"] : []))
beforeEach(() => setBusy(false))

let notes: (string | null)[]
let looks: number
beforeEach(() => {
  notes = []
  looks = 0
})

function open(settings: Partial<ThrottleSettings> = {}, context: Partial<ThrottleContext> = {}) {
  const none = { threadsRunning: undefined, replicaLagSeconds: undefined, query: "SELECT COUNT(*) FROM busy" }
  return openThrottle({
    shopDb: counted(),
    settings: { ...none, minutesMax: 1, ...settings },
    note: async (reason) => void notes.push(reason),
    log: pino({ level: "silent" }),
    ...context,
  })
}

/** The shop's server; each of the first `failures` statements loses its connection. */
function counted(failures = 0): Database {
  let failed = 0
  const execute = async (query: Parameters<Database["execute"]>[0]) => {
    looks++
    if (failed++ < failures) throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" })
    return database.db.execute(query)
  }
  return { execute } as unknown as Database
}

const SECOND = 1 / 60

test("while the shop is busy it waits and says why, and then goes on", async () => {
  await setBusy(true)
  const throttle = open()
  const passed = throttle.pass()
  await expect.poll(() => notes).toEqual(["THROTTLE_QUERY says 1"])
  await setBusy(false)
  expect(await passed).toBe(true)
  expect(notes).toEqual(["THROTTLE_QUERY says 1", null])
  expect(throttle.waitedMs).toBeGreaterThan(900)
})

test("a look that loses its connection is tried again, and nothing waits", async () => {
  expect(await open({}, { shopDb: counted(1) }).pass()).toBe(true)
  expect(notes).toEqual([])
})

test("what fails again and again is a reason to wait, for as long as for a busy shop", async () => {
  const throttle = open({ query: "SELECT n FROM no_such_table", minutesMax: 2 * SECOND })
  expect(await throttle.pass()).toBe(true)
  expect(notes).toEqual([expect.stringMatching(/does not say whether it is busy: .*no_such_table/), null])
  expect(throttle.waitedMs).toBeGreaterThan(1_900)

  const lost = open({}, { shopDb: counted(5) })
  expect(await lost.pass()).toBe(true)
  expect(notes.slice(2)).toEqual([expect.stringContaining("ECONNRESET"), null])
})

test("its minutes are for all waits together", async () => {
  const throttle = open({ minutesMax: 3 * SECOND })
  await setBusy(true)
  const first = throttle.pass()
  await wait(1_200)
  await setBusy(false)
  expect(await first).toBe(true)
  const waitedMs = throttle.waitedMs
  expect(waitedMs).toBeGreaterThan(1_000)

  await setBusy(true)
  await wait(1_100)
  const startedAt = performance.now()
  expect(await throttle.pass()).toBe(true)
  expect(performance.now() - startedAt).toBeGreaterThan(500)
  expect(performance.now() - startedAt).toBeLessThan(3_000 - waitedMs + 1_500)
  // After that it is asked no more.
  const asked = looks
  await wait(1_100)
  expect(await throttle.pass()).toBe(true)
  expect(looks).toBe(asked)
})

test("who has other things to do waits no longer than that; what was waited counts", async () => {
  await setBusy(true)
  const throttle = open()
  expect(await throttle.pass(() => false)).toBe(false)
  const until = performance.now() + 1_000
  expect(await throttle.pass(() => performance.now() < until)).toBe(false)
  expect(throttle.waitedMs).toBeGreaterThan(900)
})

test("the signal ends a wait at once", async () => {
  await setBusy(true)
  const stopping = new AbortController()
  const passed = open({}, { signal: stopping.signal }).pass()
  await expect.poll(() => notes).toHaveLength(1)
  const startedAt = performance.now()
  stopping.abort()
  expect(await passed).toBe(false)
  expect(performance.now() - startedAt).toBeLessThan(900)
})

test("without a setting nothing is asked; with one, once a second at most", async () => {
  const off = open({ query: undefined })
  for (let n = 0; n < 5; n++) expect(await off.pass()).toBe(true)
  expect(looks).toBe(0)
  const on = open()
  for (let n = 0; n < 5; n++) expect(await on.pass()).toBe(true)
  expect(looks).toBe(1)
})
