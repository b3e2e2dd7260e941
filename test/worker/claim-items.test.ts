import { setTimeout as wait } from "node:timers/promises"
import { pino } from "pino"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import type { ClaimGate } from "../../services/worker/claim-gate.ts"
import { claimItems } from "../../services/worker/claim-items.ts"
import type { PulledItem } from "../../services/worker/pull-item.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import type { Run } from "../../shared/ledger/runs/find-runs.ts"
import { openRun } from "../../shared/ledger/runs/open-run.ts"
import { claimShard } from "../../shared/ledger/shards/claim-shards.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { offerShards } from "../../shared/ledger/shards/offer-shards.ts"
import { createTestDatabase, type TestDatabase } from "../fixtures/test-database.ts"
import { admitNewRun, cutAt } from "../fixtures/test-run.ts"

let database: TestDatabase
let run: Run
let pulls: number

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  await database.forgetRuns()
  run = await admitNewRun(database.db)
  pulls = 0
})

interface TaskOptions {
  shardsAtOnce?: number
  attempt?: number
  gate?: ClaimGate
  /** Takes as long as the shards take to compute. */
  compute?: (indexes: number[]) => Promise<void>
}

const openGate: ClaimGate = { pass: async () => true, isClosed: false }

/** What a task claims; its subscription brings nothing but what is given. */
function startTask(
  brought: PulledItem[] = [],
  { shardsAtOnce = 1, attempt = 0, gate = openGate, compute }: TaskOptions = {},
) {
  const claimed: number[] = []
  const acknowledged: number[] = []
  const together: number[][] = []
  const pull = async () => {
    pulls++
    await wait(5)
    return brought.splice(0)
  }
  const ended = (async () => {
    const task = { execution: "e", taskIndex: 0, attempt }
    const acknowledge = async (settled: PulledItem[]) => {
      acknowledged.push(...settled.map(({ index }) => index))
    }
    const items = { open: () => undefined, pull, acknowledge }
    const log = pino({ level: "silent" })
    const context = {
      db: database.db,
      runId: run.runId,
      dispatch: 0,
      task,
      items,
      itemsMax: 1,
      gate,
      pace: { shardsAtOnce, note: () => undefined },
      isShared: true,
    }
    const { signal } = new AbortController()
    for await (const work of claimItems({ ...context, log, signal })) {
      const claims = work.kind === "compute" ? work.claims : [work.claim]
      const indexes = claims.map(({ shardIndex }) => shardIndex)
      claimed.push(...indexes)
      together.push(indexes)
      await compute?.(indexes)
    }
    return claimed
  })()
  return { claimed, together, acknowledged, ended }
}

const itemsOf = (...indexes: number[]) => indexes.map((index) => ({ index, dispatch: 0, ackId: "" }))
const [first, second, third, last] = cutAt(10n, 20n, 30n) as [object, object, object, object]

test("a task waits while its run is being planned, claims what is offered, and ends when the plan is whole", async () => {
  const { db } = database
  await offerShards(db, run, 0, [first])
  const { claimed, ended } = startTask()
  await expect.poll(() => claimed).toEqual([0])
  await offerShards(db, run, 1, [second])
  await expect.poll(() => claimed).toEqual([0, 1])
  // Settled, and its last shard not offered yet.
  await offerShards(db, run, 2, [third], 4)
  await expect.poll(() => claimed).toEqual([0, 1, 2])
  const pulled = pulls
  await expect.poll(() => pulls).toBeGreaterThan(pulled + 2)
  await openRun(db, run, 4, last)
  expect(await ended).toEqual([0, 1, 2, 3])
})

test("as many small shards as go together are claimed together, but for those that somebody else has", async () => {
  const { db } = database
  await offerShards(db, run, 0, cutAt(10n, 20n, 30n, 40n, 50n).slice(0, 5), 6)
  await openRun(db, run, 6, { from: 50n })
  const another = { execution: "e", taskIndex: 1, attempt: 0 }
  await claimShard(db, { runId: run.runId, shardIndex: 2, dispatch: 0 }, another)
  const items = itemsOf(1, 2, 3, 4, 5)
  const { together, ended } = startTask(items, { shardsAtOnce: 3 })
  await ended
  expect(together).toEqual([[0], [1, 3], [4, 5]])
})

test("a task that waits for its planner ends when the run is closed or taken back", async () => {
  await offerShards(database.db, run, 0, [first])
  const closed = startTask()
  await expect.poll(() => closed.claimed).toEqual([0])
  await closeRun(database.db, run)
  expect(await closed.ended).toEqual([0])

  run = await admitNewRun(database.db, { revenueDate: "2026-11-21" })
  const takenBack = startTask()
  await expect.poll(() => pulls).toBeGreaterThan(3)
  await database.query("DELETE FROM runs")
  expect(await takenBack.ended).toEqual([])
})

test("an item is acknowledged while its shard is still being computed", async () => {
  const { db } = database
  await offerShards(db, run, 0, [first, second], 3)
  await openRun(db, run, 3, third)
  const computed = Promise.withResolvers<void>()
  const compute = ([index]: number[]) => (index === 0 ? Promise.resolve() : computed.promise)
  const { acknowledged, ended } = startTask(itemsOf(1, 2), { compute })
  await expect.poll(() => acknowledged).toEqual([1])
  expect((await listShards(db, run.runId)).map(({ state }) => state)).toEqual(["claimed", "claimed", "offered"])
  computed.resolve()
  expect(await ended).toEqual([0, 1, 2])
  expect(acknowledged).toEqual([1, 2])
})

test("an item whose shard somebody else has is acknowledged; one for which the ledger was not asked is not", async () => {
  const { db } = database
  await offerShards(db, run, 0, [first, second, third], 4)
  await openRun(db, run, 4, last)
  await claimShard(db, { runId: run.runId, shardIndex: 1, dispatch: 0 }, { execution: "e", taskIndex: 1, attempt: 0 })
  let passes = 0
  const gate = {
    // It closes before the last shard.
    pass: async () => passes++ < 3,
    get isClosed() {
      return passes > 3
    },
  }
  const { acknowledged, ended } = startTask(itemsOf(1, 2, 3), { gate })
  expect(await ended).toEqual([0, 2])
  expect(acknowledged).toEqual([1, 2])
  expect((await listShards(db, run.runId))[3]).toMatchObject({ state: "offered" })
})

test("of a task that dies after an item is acknowledged the next attempt computes the shard", async () => {
  const { db } = database
  await offerShards(db, run, 0, [first], 2)
  await openRun(db, run, 2, second)
  const compute = ([index]: number[]) => (index === 0 ? Promise.resolve() : Promise.reject(new Error("it dies")))
  const dying = startTask(itemsOf(1), { compute })
  await expect(dying.ended).rejects.toThrow("it dies")
  expect(dying.acknowledged).toEqual([1])
  // Nothing but the ledger tells it.
  expect(await startTask([], { attempt: 1 }).ended).toEqual([0, 1])
})
