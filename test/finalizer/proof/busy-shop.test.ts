import { setTimeout as wait } from "node:timers/promises"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { type AuditsContext, workOffAudits } from "../../../services/finalizer/duties/work-off-audits.ts"
import { gatherEvidence } from "../../../services/finalizer/proof/gather-evidence.ts"
import { sumSource } from "../../../services/finalizer/proof/sum-source.ts"
import { openThrottles } from "../../../services/finalizer/proof/throttles.ts"
import { finalizeRun } from "../../../services/finalizer/verdict/finalize-run.ts"
import { computeShard } from "../../../services/worker/compute-shards.ts"
import { requestAudits } from "../../../shared/ledger/audits/request-audits.ts"
import { closeRun } from "../../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../../shared/ledger/runs/decide-run.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { listShards } from "../../../shared/ledger/shards/find-shards.ts"
import { shardRange } from "../../../shared/ledger/shards/shard-range.ts"
import { openFinalizeContext } from "../../fixtures/finalize-context.ts"
import { openPlannerFixture, type PlannerFixture } from "../../fixtures/planner-fixture.ts"
import { claim, reread } from "../../fixtures/play-run.ts"
import { insertPurchases } from "../../fixtures/test-database.ts"
import { beginRun, cutAt, testDate } from "../../fixtures/test-run.ts"

const MINUTE_MS = 60_000
const SECOND = 1 / 60
const SHARDS = 4

let fixture: PlannerFixture
let run: ShopRun
let stopping: AbortController

beforeAll(async () => {
  fixture = await openPlannerFixture()
  await fixture.database.query("CREATE TABLE busy (n INT)")
  const rows = Array.from({ length: 40 }, (_, user): [number, number, string] => [
    user,
    100 + user,
    `${testDate} 12:00:00`,
  ])
  await fixture.database.query(insertPurchases(rows))
})
afterAll(() => fixture.close())
beforeEach(async () => {
  const { db } = fixture.database
  await fixture.database.forgetRuns()
  await setBusy(false)
  stopping = new AbortController()
  run = await beginRun(db, cutAt(10n, 20n, 30n))
  for (let index = 0; index < SHARDS; index++) await computeShard(db, run, await claim(db, run, index, 0))
})

const setBusy = (isBusy: boolean) =>
  fixture.database.query("DELETE FROM busy", ...(isBusy ? ["INSERT INTO busy VALUES (1)"] : []))

const openAll = (minutesMax = 1) => {
  const query = "SELECT COUNT(*) FROM busy"
  const settings = { threadsRunning: undefined, replicaLagSeconds: undefined, query, minutesMax }
  return openThrottles({ shopDb: fixture.database.db, settings, log: fixture.context.log, signal: stopping.signal })
}

const finalize = ({ throttles = openAll(), elapsedMs = 0 } = {}) =>
  finalizeRun(openFinalizeContext(fixture, { throttles, elapsedMs, signal: stopping.signal }), run.runId)
const now = () => reread(fixture.database.db, run)

/** Whether something is still going on after a while. */
const isPending = (promise: Promise<unknown>, ms = 1_500) => Promise.race([promise.then(() => false), wait(ms, true)])

test("a day is read in pieces, which add up to the same, and between them it waits while the shop is busy", async () => {
  const { db } = fixture.database
  // As if each held that many: two are more than a piece.
  await fixture.database.query("UPDATE shards SET purchases = 600000")
  const options = { ...fixture.context, throttle: openAll().of("a run") }
  const evidence = await gatherEvidence(db, db, fixture.context.bucket, run, options)
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
  await fixture.database.query("ALTER TABLE purchases RENAME COLUMN amount_cents TO amount")
  await expect(finalize({ throttles })).rejects.toThrow("the shop cannot be read")
  await fixture.database.query("ALTER TABLE purchases RENAME COLUMN amount TO amount_cents")
  expect(performance.now() - startedAt).toBeGreaterThan(1_900)
  const againAt = performance.now()
  await finalize({ throttles })
  expect(performance.now() - againAt).toBeLessThan(1_500)
  expect((await now()).state).toBe("incomplete")
})

test("what it has waited is not time in which it could not be verified", async () => {
  await setBusy(true)
  await fixture.database.query("ALTER TABLE purchases RENAME COLUMN amount_cents TO amount")
  try {
    const isLate = { throttles: openAll(3 * SECOND), elapsedMs: 5 * MINUTE_MS - 1_500 }
    await expect(finalize(isLate)).rejects.toThrow("the shop cannot be read")
    expect((await now()).state).toBe("verifying")
  } finally {
    await fixture.database.query("ALTER TABLE purchases RENAME COLUMN amount TO amount_cents")
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
  const { db } = fixture.database
  await closeRun(db, run)
  const totals = { rows: 40n, purchases: 40n, amountCents: 4_780n, parts: [] }
  await decideRun(db, run, { state: "complete", verdict: "{}", totals })
  await requestAudits(db, "a", [testDate], new Date())
  const night = { REVENUE_TIME_ZONE: "UTC", AUDIT_DAYS: 0, REPAIR_DAYS: 0 }
  const context: AuditsContext = {
    ...fixture.context,
    night,
    throttles: openAll(6 * SECOND),
    auditingSinceMs: undefined,
    signal: stopping.signal,
  }
  const audit = async () => (await fixture.database.query("SELECT state, next_shard FROM audits"))[0]
  await setBusy(true)
  for (let sweep = 0; sweep < 2; sweep++) {
    await workOffAudits(context, 1_300)
    expect(await audit()).toEqual({ state: "auditing", next_shard: 0 })
  }
  await workOffAudits(context, 20_000)
  expect(await audit()).toEqual({ state: "same", next_shard: SHARDS })
})
