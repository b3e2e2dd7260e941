import { setTimeout as wait } from "node:timers/promises"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { type AuditsContext, workOffAudits } from "../../services/finalizer/duties/work-off-audits.ts"
import { finalizeRun } from "../../services/finalizer/finalize-run.ts"
import { gatherEvidence } from "../../services/finalizer/gather-evidence.ts"
import { sumSource } from "../../services/finalizer/sum-source.ts"
import { openThrottles } from "../../services/finalizer/throttles.ts"
import { computeShard } from "../../services/worker/compute-shards.ts"
import { closeRun } from "../../shared/ledger/close-run.ts"
import { decideRun } from "../../shared/ledger/decide-run.ts"
import type { ShopRun } from "../../shared/ledger/find-runs.ts"
import { listShards } from "../../shared/ledger/find-shards.ts"
import { requestAudits } from "../../shared/ledger/request-audits.ts"
import { shardRange } from "../../shared/ledger/shard-range.ts"
import { openFinalizeContext } from "../rooms/finalize-context.ts"
import { openPlannerRoom, type PlannerRoom } from "../rooms/planner-room.ts"
import { claim, reread } from "../rooms/play-run.ts"
import { insertPurchases } from "../rooms/test-database.ts"
import { beginRun, cutAt, testDate } from "../rooms/test-run.ts"

const MINUTE_MS = 60_000
const SECOND = 1 / 60
const SHARDS = 4

let room: PlannerRoom
let run: ShopRun
let stopping: AbortController

beforeAll(async () => {
  room = await openPlannerRoom()
  await room.database.query("CREATE TABLE busy (n INT)")
  const rows = Array.from({ length: 40 }, (_, user): [number, number, string] => [
    user,
    100 + user,
    `${testDate} 12:00:00`,
  ])
  await room.database.query(insertPurchases(rows))
})
afterAll(() => room.close())
beforeEach(async () => {
  const { db } = room.database
  await room.database.forgetRuns()
  await setBusy(false)
  stopping = new AbortController()
  run = await beginRun(db, cutAt(10n, 20n, 30n))
  for (let index = 0; index < SHARDS; index++) await computeShard(db, run, await claim(db, run, index, 0))
})

const setBusy = (isBusy: boolean) =>
  room.database.query("DELETE FROM busy", ...(isBusy ? ["INSERT INTO busy VALUES (1)"] : []))

const openAll = (minutesMax = 1) => {
  const query = "SELECT COUNT(*) FROM busy"
  const settings = { threadsRunning: undefined, replicaLagSeconds: undefined, query, minutesMax }
  return openThrottles({ shopDb: room.database.db, settings, log: room.context.log, signal: stopping.signal })
}

const finalize = ({ throttles = openAll(), elapsedMs = 0 } = {}) =>
  finalizeRun(openFinalizeContext(room, { throttles, elapsedMs, signal: stopping.signal }), run.runId)
const now = () => reread(room.database.db, run)

/** Whether something is still going on after a while. */
const isPending = (promise: Promise<unknown>, ms = 1_500) => Promise.race([promise.then(() => false), wait(ms, true)])

test("a day is read in pieces, which add up to the same, and between them it waits while the shop is busy", async () => {
  const { db } = room.database
  // As if each held that many: two are more than a piece.
  await room.database.query("UPDATE shards SET purchases = 600000")
  const options = { ...room.context, throttle: openAll().of("a run") }
  const evidence = await gatherEvidence(db, db, room.context.bucket, run, options)
  const pieces = (async function* () {
    yield* evidence.shards
  })()
  const seen = [(await pieces.next()).value ?? []]
  await setBusy(true)
  await wait(1_100)
  const next = pieces.next()
  expect(await isPending(next)).toBe(true)
  await setBusy(false)
  seen.push((await next).value ?? [])
  for await (const piece of pieces) seen.push(piece)
  expect(seen.map((piece) => piece.map(({ shard }) => shard.shardIndex))).toEqual([[0], [1], [2], [3]])
  const ranges = (await listShards(db, run.runId)).map((shard) => shardRange(run.shop.layout.userType, shard))
  const sums = seen.flat().map(({ source }) => source)
  expect(sums).toEqual(await sumSource(db, run, ranges))
  const [whole] = await sumSource(db, run, [{}])
  expect(sums.reduce((sum, { checksum }) => sum + checksum, 0n)).toBe(whole?.checksum)
})

test("a verification waits while the shop is busy, says why, and then gives its verdict", async () => {
  await setBusy(true)
  const finalized = finalize()
  await expect.poll(async () => (await now()).throttled).toBe("THROTTLE_QUERY says 1")
  expect(await isPending(finalized)).toBe(true)
  expect((await now()).state).toBe("verifying")
  await setBusy(false)
  await finalized
  expect(await now()).toMatchObject({ state: "incomplete", throttled: null })
})

test("a verification waits no longer than THROTTLE_MINUTES_MAX in all, however often it is begun", async () => {
  await setBusy(true)
  const throttles = openAll(2 * SECOND)
  const startedAt = performance.now()
  // What is broken in between makes it begin again.
  await room.database.query("ALTER TABLE purchases RENAME COLUMN amount_cents TO amount")
  await expect(finalize({ throttles })).rejects.toThrow("the shop cannot be read")
  await room.database.query("ALTER TABLE purchases RENAME COLUMN amount TO amount_cents")
  expect(performance.now() - startedAt).toBeGreaterThan(1_900)
  const againAt = performance.now()
  await finalize({ throttles })
  expect(performance.now() - againAt).toBeLessThan(1_500)
  expect((await now()).state).toBe("incomplete")
})

test("what it has waited is not time in which it could not be verified", async () => {
  await setBusy(true)
  await room.database.query("ALTER TABLE purchases RENAME COLUMN amount_cents TO amount")
  try {
    const isLate = { throttles: openAll(3 * SECOND), elapsedMs: 5 * MINUTE_MS - 1_500 }
    await expect(finalize(isLate)).rejects.toThrow("the shop cannot be read")
    expect((await now()).state).toBe("verifying")
  } finally {
    await room.database.query("ALTER TABLE purchases RENAME COLUMN amount TO amount_cents")
  }
})

test("a finalizer that stops while a verification waits leaves it to the next, however long it has waited", async () => {
  await setBusy(true)
  const finalized = finalize({ elapsedMs: 120 * MINUTE_MS })
  await expect.poll(async () => (await now()).throttled).not.toBeNull()
  stopping.abort()
  await expect(finalized).rejects.toThrow("the next delivery or sweep verifies the run")
  expect((await now()).state).toBe("verifying")
})

test("an audit waits while the shop is busy, within its time, and no longer than THROTTLE_MINUTES_MAX in all", async () => {
  const { db } = room.database
  await closeRun(db, run)
  const totals = { rows: 40n, purchases: 40n, amountCents: 4_780n, parts: [] }
  await decideRun(db, run, { state: "complete", verdict: "{}", totals })
  await requestAudits(db, "a", [testDate], new Date())
  const night = { REVENUE_TIME_ZONE: "UTC", AUDIT_DAYS: 0, REPAIR_DAYS: 0 }
  const context: AuditsContext = {
    ...room.context,
    night,
    throttles: openAll(6 * SECOND),
    auditingSinceMs: undefined,
    signal: stopping.signal,
  }
  const audit = async () => (await room.database.query("SELECT state, next_shard FROM audits"))[0]
  await setBusy(true)
  for (let sweep = 0; sweep < 2; sweep++) {
    await workOffAudits(context, 1_300)
    expect(await audit()).toEqual({ state: "auditing", next_shard: 0 })
  }
  await workOffAudits(context, 20_000)
  expect(await audit()).toEqual({ state: "same", next_shard: SHARDS })
})
