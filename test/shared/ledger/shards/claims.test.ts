import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest"
import type { Database } from "../../../../shared/database/open-database.ts"
import { inTransaction } from "../../../../shared/database/transaction.ts"
import { StaleEpochError } from "../../../../shared/errors.ts"
import { markAnnounced } from "../../../../shared/ledger/runs/announce-run.ts"
import { closeRun } from "../../../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../../../shared/ledger/runs/decide-run.ts"
import { findDispatch } from "../../../../shared/ledger/runs/find-dispatches.ts"
import { findRun, type Run } from "../../../../shared/ledger/runs/find-runs.ts"
import { openNextDispatch } from "../../../../shared/ledger/runs/open-next-dispatch.ts"
import { type Claim, claimShard, claimShards, lockClaims } from "../../../../shared/ledger/shards/claim-shards.ts"
import { takeReport } from "../../../../shared/ledger/shards/count-report.ts"
import { failShard } from "../../../../shared/ledger/shards/fail-shard.ts"
import {
  findOfferedShard,
  findShard,
  listLeftShards,
  type Shard,
  type TaskAttempt,
} from "../../../../shared/ledger/shards/find-shards.ts"
import { finishShards } from "../../../../shared/ledger/shards/finish-shards.ts"
import { createTestDatabase, type TestDatabase } from "../../../fixtures/test-database.ts"
import { beginRun, cutAt } from "../../../fixtures/test-run.ts"

let database: TestDatabase
let run: Run

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  await database.forgetRuns()
  run = await beginRun(database.db, cutAt(100n, 200n))
})

const task = (taskIndex: number, attempt = 0, execution = "job-aaaaa"): TaskAttempt => ({
  execution,
  taskIndex,
  attempt,
})
const claim = (index: number, by: TaskAttempt, dispatch = 0) =>
  claimShard(database.db, { runId: run.runId, shardIndex: index, dispatch }, by)
const shardNow = async (index: number) => (await findShard(database.db, run.runId, index)) as Shard
const written = { totals: { rows: 1n, purchases: 2n, amountCents: 3n, parts: [] }, checksum: 4n }

async function mustClaim(index: number, by: TaskAttempt, dispatch = 0): Promise<Claim> {
  const claimed = await claim(index, by, dispatch)
  if (!claimed) throw new Error(`shard ${index} could not be claimed`)
  return claimed
}

const finishOne = async (tx: Database, locked: Shard[]) => (await finishShards(tx, locked, [written]))[0]

/** The transaction in which a worker writes a shard. */
const commit = (claimed: Claim) =>
  inTransaction(database.db, async (tx) => finishOne(tx, await lockClaims(tx, [claimed])))

test("of many tasks that claim one shard at once, one gets it", async () => {
  const claims = await Promise.all(Array.from({ length: 20 }, (_, index) => claim(0, task(index))))
  const winners = claims.filter((claimed) => claimed !== undefined)
  expect(winners).toHaveLength(1)
  expect(winners[0]).toMatchObject({ epoch: 1 })
  expect(await shardNow(0)).toMatchObject({ epoch: 1, state: "claimed", crashes: 0 })
})

test("several are claimed at once, those that can be, each at its own epoch", async () => {
  const claimAll = (by: TaskAttempt) => claimShards(database.db, { runId: run.runId, dispatch: 0 }, [2, 0, 1], by)
  await mustClaim(1, task(1))
  await mustClaim(2, task(0))
  expect(await claimAll(task(0))).toMatchObject([
    { shardIndex: 0, dispatch: 0, epoch: 1 },
    { shardIndex: 2, dispatch: 0, epoch: 2 },
  ])
  expect(await claimAll(task(0, 1))).toMatchObject([{ epoch: 2 }, { epoch: 3 }])
  expect(await claimAll(task(0))).toEqual([])
  expect(await shardNow(0)).toMatchObject({ crashes: 1, attempt: 1, state: "claimed" })
})

test("a trigger that somebody has put on the shards, which hides what a claim has set, changes no claim", async () => {
  await database.query("CREATE TRIGGER watch_shards AFTER UPDATE ON shards FOR EACH ROW SET @changed = NEW.shard_index")
  onTestFinished(() => void database.query("DROP TRIGGER watch_shards"))
  expect(await mustClaim(0, task(0))).toMatchObject({ epoch: 1 })
  expect(await mustClaim(0, task(0, 1))).toMatchObject({ epoch: 2 })
  expect(await claim(0, task(1))).toBeUndefined()
  const done = await commit(await mustClaim(0, task(0, 2)))
  expect(done).toMatchObject({ epoch: 3, state: "done" })
  expect(await shardNow(0)).toEqual(done)
})

describe("a claimed shard", () => {
  test("is taken over by the next attempt of the same task, at a higher epoch, and that counts as a crash", async () => {
    const first = await mustClaim(0, task(3, 0))
    const second = await mustClaim(0, task(3, 1))
    expect(second.epoch).toBe(first.epoch + 1)
    expect(await shardNow(0)).toMatchObject({ epoch: second.epoch, crashes: 1, attempt: 1 })
  })

  test("is claimed again by the same attempt, whose answer may have been lost, and that is no crash", async () => {
    await mustClaim(0, task(3, 1))
    expect(await mustClaim(0, task(3, 1))).toMatchObject({ epoch: 2 })
    expect(await shardNow(0)).toMatchObject({ epoch: 2, crashes: 0 })
  })

  test("is not taken over by another task, another execution, or an earlier attempt", async () => {
    await mustClaim(0, task(3, 1))
    expect(await claim(0, task(4, 5))).toBeUndefined()
    expect(await claim(0, task(3, 5, "job-bbbbb"))).toBeUndefined()
    expect(await claim(0, task(3, 0))).toBeUndefined()
  })

  test("cannot be written under the old claim once it is taken over", async () => {
    const stale = await mustClaim(0, task(3, 0))
    const fresh = await mustClaim(0, task(3, 1))
    await expect(commit(stale)).rejects.toThrow(StaleEpochError)
    await expect(failShard(database.db, stale, "no")).rejects.toThrow(StaleEpochError)
    expect((await shardNow(0)).state).toBe("claimed")
    await commit(fresh)
    expect(await shardNow(0)).toMatchObject({ state: "done", epoch: fresh.epoch, purchases: 2n, amountCents: "3" })
  })

  test("is found by the next attempt of its task and by no other", async () => {
    await mustClaim(0, task(3, 0))
    const left = async (by: TaskAttempt) =>
      (await listLeftShards(database.db, run.runId, 0, by)).map((shard) => shard.shardIndex)
    expect(await left(task(3, 1))).toEqual([0])
    expect(await left(task(2, 1))).toEqual([])
    expect(await left(task(3, 1, "job-bbbbb"))).toEqual([])
  })
})

test("a finished shard is claimed by nobody; it is left to its task until its report is taken", async () => {
  const claimed = await mustClaim(0, task(0))
  await commit(claimed)
  expect(await claim(0, task(0, 1))).toBeUndefined()
  expect(await claim(0, task(1))).toBeUndefined()
  expect(await listLeftShards(database.db, run.runId, 0, task(0, 1))).toHaveLength(1)
  const report = { runId: run.runId, index: 0, dispatch: 0, epoch: claimed.epoch }
  expect(await takeReport(database.db, report)).toBe(2)
  expect(await listLeftShards(database.db, run.runId, 0, task(0, 1))).toHaveLength(0)
})

test("a commit whose answer was lost is recognised when it is tried again", async () => {
  const claimed = await mustClaim(0, task(0))
  await commit(claimed)
  await inTransaction(database.db, async (tx) => {
    expect((await lockClaims(tx, [claimed]))[0]?.state).toBe("done")
  })
})

test("a failure whose answer was lost is recognised when it is tried again", async () => {
  const claimed = await mustClaim(0, task(0))
  await failShard(database.db, claimed, "because")
  await failShard(database.db, claimed, "because")
  expect(await shardNow(0)).toMatchObject({ state: "failed", error: "because" })
})

test("a report counts once, however often and however parallel it comes; of an old epoch it does not count", async () => {
  const stale = await mustClaim(0, task(0))
  const fresh = await mustClaim(0, task(0, 1))
  await commit(fresh)
  const report = (epoch: number) => ({ runId: run.runId, index: 0, dispatch: 0, epoch })
  expect(await takeReport(database.db, report(stale.epoch))).toBeUndefined()
  const taken = await Promise.all(Array.from({ length: 8 }, () => takeReport(database.db, report(fresh.epoch))))
  expect(taken.filter((left) => left !== undefined)).toEqual([2])
  expect((await findDispatch(database.db, run.runId, 0))?.reported).toBe(1)
})

test("of reports that are taken at once, one is told that it was the last", async () => {
  const claims = await Promise.all([0, 1, 2].map((index) => mustClaim(index, task(index))))
  for (const claimed of claims) await commit(claimed)
  const reports = claims.map(({ runId, shardIndex, dispatch, epoch }) => ({
    runId,
    index: shardIndex,
    dispatch,
    epoch,
  }))
  const left = await Promise.all(reports.map((report) => takeReport(database.db, report)))
  expect(left.toSorted()).toEqual([0, 1, 2])
})

describe("closing a run", () => {
  test("fences what is claimed and what is offered, and leaves what is finished", async () => {
    const done = await mustClaim(0, task(0))
    await commit(done)
    const late = await mustClaim(1, task(1))
    await closeRun(database.db, run)
    expect(await findOfferedShard(database.db, run.runId, 0)).toBeUndefined()
    await expect(commit(late)).rejects.toThrow(StaleEpochError)
    expect(await claim(1, task(1, 1))).toBeUndefined()
    expect(await claim(2, task(2))).toBeUndefined()
    expect((await shardNow(0)).state).toBe("done")
    expect((await shardNow(1)).state).toBe("missing")
    expect((await shardNow(2)).state).toBe("missing")
  })

  test("waits for a transaction that is about to commit, which then counts", async () => {
    const claimed = await mustClaim(0, task(0))
    let closing: Promise<void> | undefined
    await inTransaction(database.db, async (tx) => {
      const locked = await lockClaims(tx, [claimed])
      closing = closeRun(database.db, run)
      await finishOne(tx, locked)
    })
    await closing
    expect((await shardNow(0)).state).toBe("done")
  })
})

describe("the next dispatch", () => {
  async function rerun(indexes: number[]): Promise<boolean> {
    await closeRun(database.db, run)
    await decideRun(database.db, run, { state: "incomplete", verdict: "{}" })
    await markAnnounced(database.db, run)
    const closed = (await findRun(database.db, run.runId)) as Run
    return openNextDispatch(database.db, closed, "request-2", indexes)
  }

  test("offers its shards again and fences everybody who still works on them", async () => {
    const stale = await mustClaim(1, task(1))
    expect(await rerun([1, 2])).toBe(true)
    expect(await shardNow(1)).toMatchObject({ state: "offered", dispatch: 1, position: 0, execution: null })
    await expect(commit(stale)).rejects.toThrow(StaleEpochError)
    expect(await claim(1, task(1, 1), 0)).toBeUndefined()
    const fresh = await mustClaim(1, task(0, 0, "job-bbbbb"), 1)
    expect(fresh.epoch).toBeGreaterThan(stale.epoch)
    await commit(fresh)
    expect((await shardNow(1)).state).toBe("done")
  })

  test("is opened once, however many ask for it at once", async () => {
    await closeRun(database.db, run)
    await decideRun(database.db, run, { state: "incomplete", verdict: "{}" })
    await markAnnounced(database.db, run)
    const closed = (await findRun(database.db, run.runId)) as Run
    const opened = await Promise.all(
      Array.from({ length: 5 }, (_, n) => openNextDispatch(database.db, closed, `request-${n}`, [0])),
    )
    expect(opened.filter(Boolean)).toHaveLength(1)
    expect((await findRun(database.db, run.runId))?.dispatch).toBe(1)
  })

  test("is not opened before the last verdict is announced", async () => {
    await closeRun(database.db, run)
    await decideRun(database.db, run, { state: "incomplete", verdict: "{}" })
    const closed = (await findRun(database.db, run.runId)) as Run
    expect(await openNextDispatch(database.db, closed, "request-2", [0])).toBe(false)
  })
})
