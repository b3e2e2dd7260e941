import * as fc from "fast-check"
import { expect, test } from "vitest"
import { plainShop } from "../../schemas/database/shop.ts"
import { computeShards } from "../../services/worker/compute-shards.ts"
import { nobody } from "../../shared/asker.ts"
import { StaleEpochError } from "../../shared/errors.ts"
import { setPause } from "../../shared/ledger/pauses/pause.ts"
import { admitRun } from "../../shared/ledger/runs/admit-run.ts"
import { markAnnounced } from "../../shared/ledger/runs/announce-run.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../shared/ledger/runs/decide-run.ts"
import { findRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import { cancelRun } from "../../shared/ledger/runs/mark-cancelled.ts"
import { openNextDispatch } from "../../shared/ledger/runs/open-next-dispatch.ts"
import { type Claim, claimShard } from "../../shared/ledger/shards/claim-shards.ts"
import { takeReport } from "../../shared/ledger/shards/count-report.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { insertPurchases, shopTables, useTestDatabase } from "../fixtures/test-database.ts"
import { beginRun, cutAt } from "../fixtures/test-run.ts"

/*
 * The claim protocol under every kind of event, in random order, on the real ledger and the real transaction: tasks of
 * two executions claim, commit, crash and come back as zombies; reports are doubled and late; the run is closed,
 * decided and rerun at any moment. What must hold is checked after each event by looking at the tables.
 */

const SHARDS = 3
const EXECUTIONS = 2
const TASKS = 2

type Event =
  | { kind: "claim"; execution: number; task: number; shard: number }
  | { kind: "crash"; execution: number; task: number }
  | { kind: "commit"; claims: number[] }
  | { kind: "report"; claim: number }
  | { kind: "buy"; shard: number }
  | { kind: "close" }
  | { kind: "decide" }
  | { kind: "rerun" }
  | { kind: "admit" }
  | { kind: "cancel" }
  | { kind: "pause" }
  | { kind: "resume" }

const pick = (max: number) => fc.nat({ max: max - 1 })
// Mostly one, and sometimes several in one transaction.
const someClaims = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(fc.nat()) },
  { weight: 1, arbitrary: fc.array(fc.nat(), { minLength: 2, maxLength: SHARDS }) },
)
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("claim" as const),
      execution: pick(EXECUTIONS),
      task: pick(TASKS),
      shard: pick(SHARDS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("crash" as const), execution: pick(EXECUTIONS), task: pick(TASKS) }),
  },
  // Of all claims ever made: most of them are stale, which is the point.
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("commit" as const), claims: someClaims }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("report" as const), claim: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("buy" as const), shard: pick(SHARDS) }) },
  fc.constantFrom<Event>({ kind: "close" }, { kind: "decide" }, { kind: "rerun" }, { kind: "admit" }),
  fc.constantFrom<Event>({ kind: "cancel" }, { kind: "pause" }, { kind: "resume" }, { kind: "resume" }),
)

const database = useTestDatabase(...shopTables)

/** The real protocol, with a record of what happened to it. */
async function openHistory() {
  const { db } = database
  await database.forgetRuns()
  await database.query("DELETE FROM purchases")
  const rows = [5, 15, 25].map((user): [number, number, string] => [user, 100, "2026-11-22 10:00:00"])
  await database.query(insertPurchases(rows))
  const { runId } = await beginRun(db, cutAt(10n, 20n))
  const run = async () => (await findRun(db, runId)) as Run
  const attempts = new Map<string, number>()
  const claims: Claim[] = []
  /** By shard and dispatch: the epochs that landed. */
  const landed = new Map<string, number[]>()
  const decided = new Map<number, string>()
  let requests = 0
  let isPaused = false

  async function play(event: Event): Promise<void> {
    switch (event.kind) {
      case "claim": {
        const execution = `job-${event.execution}`
        const attempt = attempts.get(`${execution}/${event.task}`) ?? 0
        const { dispatch } = await run()
        const shard = { runId, shardIndex: event.shard, dispatch }
        const claimed = await claimShard(db, shard, { execution, taskIndex: event.task, attempt })
        if (claimed) claims.push(claimed)
        return
      }
      case "crash": {
        const key = `job-${event.execution}/${event.task}`
        attempts.set(key, (attempts.get(key) ?? 0) + 1)
        return
      }
      case "commit": {
        const chosen = event.claims.flatMap((claim) => claims[claim % Math.max(1, claims.length)] ?? [])
        // A task has one claim of a shard.
        await commit([...new Map(chosen.map((claim) => [claim.shardIndex, claim])).values()])
        return
      }
      case "report": {
        const claim = claims[event.claim % Math.max(1, claims.length)]
        if (claim)
          await takeReport(db, { runId, index: claim.shardIndex, dispatch: claim.dispatch, epoch: claim.epoch })
        return
      }
      case "buy":
        await database.query(insertPurchases([[event.shard * 10 + 5, 7, "2026-11-22 11:00:00"]]))
        return
      case "close":
        await closeRun(db, await run())
        return
      case "decide":
        await decide(await run())
        return
      case "rerun": {
        const closed = await run()
        await openNextDispatch(db, closed, `request-${requests++}`, [0, 1, 2])
        await admitRun(db, runId, 1)
        return
      }
      case "admit": {
        const before = await run()
        const after = (await admitRun(db, runId, 1))?.run
        if (isPaused) expect(after?.state).toBe(before.state)
        else expect(after?.state).not.toBe("waiting")
        return
      }
      case "cancel":
        await cancelRun(db, await run(), "{}")
        return
      case "pause":
      case "resume": {
        isPaused = event.kind === "pause"
        const changedAt = new Date(Date.UTC(2026, 0, 1) + requests++)
        expect(await setPause(db, { paused: isPaused, untilAt: null, changedAt, ...nobody })).toBe(true)
      }
    }
  }

  async function commit(together: Claim[]): Promise<void> {
    if (together.length === 0) return
    const before = await listShards(db, runId)
    try {
      await computeShards(db, { ...(await run()), shop: plainShop }, together)
    } catch (error) {
      if (!(error instanceof StaleEpochError)) throw error
      expect(await listShards(db, runId)).toEqual(before)
      return
    }
    const after = await listShards(db, runId)
    for (const { shardIndex, dispatch, epoch } of together) {
      expect(after[shardIndex]).toMatchObject({ state: "done", epoch })
      // A second call under a claim that has committed finds its own work done.
      if (before[shardIndex]?.state === "done") continue
      const key = `${shardIndex}/${dispatch}`
      landed.set(key, [...(landed.get(key) ?? []), epoch])
    }
  }

  async function decide(closed: Run): Promise<void> {
    const isWhole = (await listShards(db, runId)).every((shard) => shard.state === "done")
    const state = isWhole ? ("complete" as const) : ("incomplete" as const)
    if (!(await decideRun(db, closed, { state, verdict: "{}" }))) return
    expect(decided.has(closed.dispatch)).toBe(false)
    decided.set(closed.dispatch, state)
    await markAnnounced(db, closed)
  }

  /** What must hold at any moment. */
  async function check(): Promise<void> {
    for (const [key, epochs] of landed) expect(epochs, `commits of shard/dispatch ${key}`).toHaveLength(1)
    const now = await run()
    for (const shard of await listShards(db, runId)) {
      const [rows] = await database.query<{ n: string; amount: string }>(
        `SELECT COUNT(*) AS n, COALESCE(SUM(amount_cents), 0) AS amount FROM revenue_versions
         WHERE user_id >= ${shard.shardIndex * 10} AND user_id < ${shard.shardIndex * 10 + 10}`,
      )
      // What the ledger says of a shard that is done is what its rows say.
      if (shard.state === "done") expect([rows?.n, rows?.amount]).toEqual([String(shard.rowCount), shard.amountCents])
      if (now.state !== "running" && now.state !== "waiting")
        expect(["done", "failed", "missing"]).toContain(shard.state)
      const epochs = claims.filter((claim) => claim.shardIndex === shard.shardIndex).map((claim) => claim.epoch)
      expect(new Set(epochs).size).toBe(epochs.length)
      expect(Math.max(0, ...epochs)).toBeLessThanOrEqual(shard.epoch)
    }
    const [dispatch] = await database.query<{ reported: number; shard_count: number }>(
      `SELECT reported, shard_count FROM dispatches WHERE dispatch = ${now.dispatch}`,
    )
    expect(dispatch?.reported).toBeLessThanOrEqual(dispatch?.shard_count ?? 0)
    const published = await database.query("SELECT version FROM published_days")
    expect(published).toHaveLength(now.state === "complete" ? 1 : 0)
  }
  return { play, check }
}

test("whatever order tasks, crashes, zombies, reports, closings, verdicts, reruns, cancellations and pauses come in, the fences hold", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 5, maxLength: 60 }), async (events) => {
      const history = await openHistory()
      for (const happening of events) {
        await history.play(happening)
        await history.check()
      }
    }),
    { numRuns: 60 },
  )
  // Some 2,000 events, each with its look at the whole ledger: 20 s on two cores, and several times that on busy ones.
}, 240_000)
