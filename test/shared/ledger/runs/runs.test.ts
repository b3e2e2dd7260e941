import { beforeEach, expect, test } from "vitest"
import { closeRun } from "../../../../shared/ledger/runs/close-run.ts"
import { createRun } from "../../../../shared/ledger/runs/create-run.ts"
import { decideRun } from "../../../../shared/ledger/runs/decide-run.ts"
import { findRun, type Run } from "../../../../shared/ledger/runs/find-runs.ts"
import { listPrunableRuns } from "../../../../shared/ledger/runs/prune-run.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"
import { beginRun, cutAt, newRun, testDate } from "../../../fixtures/test-run.ts"

const database = useTestDatabase()
beforeEach(() => database.forgetRuns())

async function finish(run: Run, state: "complete" | "incomplete"): Promise<boolean> {
  await closeRun(database.db, run)
  return decideRun(database.db, run, { state, verdict: "{}" })
}

const published = async () =>
  (await database.query<{ version: number }>("SELECT version FROM published_days"))[0]?.version

test("of many requests for one date at once, one begins a run and the others are told which", async () => {
  // Now and then some of them are a deadlock for the server, more often where it still has what was deleted.
  for (let round = 0; round < 50; round++) {
    const begun = await Promise.all(Array.from({ length: 10 }, () => createRun(database.db, newRun())))
    expect(new Set(begun.map((run) => run.runId)).size).toBe(1)
    expect(begun[0]).toMatchObject({ version: 1, state: "waiting" })
    await database.query("DELETE FROM runs")
  }
})

test("the same request twice is the same run, also when it is finished", async () => {
  const request = newRun()
  const first = await createRun(database.db, request)
  expect(await createRun(database.db, request)).toEqual(first)
  await finish(first, "incomplete")
  expect((await createRun(database.db, request)).runId).toBe(first.runId)
})

test("a finished date may be run again, under the next version", async () => {
  await finish(await beginRun(database.db, cutAt()), "incomplete")
  expect((await beginRun(database.db, cutAt())).version).toBe(2)
  expect((await createRun(database.db, newRun({ revenueDate: "2026-11-21" }))).version).toBe(1)
})

test("of many finalizers that decide at once, one does, and the day is published with it", async () => {
  const run = await beginRun(database.db, cutAt())
  await closeRun(database.db, run)
  const decided = await Promise.all(
    Array.from({ length: 6 }, () => decideRun(database.db, run, { state: "complete", verdict: "{}" })),
  )
  expect(decided.filter(Boolean)).toHaveLength(1)
  expect(await published()).toBe(1)
})

test("an incomplete run publishes nothing", async () => {
  await finish(await beginRun(database.db, cutAt()), "incomplete")
  expect(await published()).toBeUndefined()
})

test("the published version never goes back", async () => {
  const first = await beginRun(database.db, cutAt())
  await finish(first, "incomplete")
  const second = await beginRun(database.db, cutAt())
  await finish(second, "complete")
  expect(await published()).toBe(2)
  await database.query(`UPDATE runs SET state = 'verifying' WHERE run_id = '${first.runId}'`)
  await decideRun(database.db, first, { state: "complete", verdict: "{}" })
  expect(await published()).toBe(2)
  const [day] = await database.query<{ run_id: string }>("SELECT run_id FROM published_days")
  expect(day?.run_id).toBe(second.runId)
})

test("a decision for an older dispatch is not taken", async () => {
  const run = await beginRun(database.db, cutAt())
  await closeRun(database.db, run)
  await database.query(`UPDATE runs SET dispatch = 1 WHERE run_id = '${run.runId}'`)
  expect(await decideRun(database.db, run, { state: "complete", verdict: "{}" })).toBe(false)
  expect((await findRun(database.db, run.runId))?.state).toBe("verifying")
})

test("prunable are finished versions that readers do not see and that are not among the newest of their date", async () => {
  const runs: Run[] = []
  for (const state of ["complete", "incomplete", "complete", "incomplete", "incomplete"] as const) {
    const run = await beginRun(database.db, cutAt())
    await finish(run, state)
    runs.push(run)
  }
  const prunable = async (kept: number) =>
    (await listPrunableRuns(database.db, kept, 100, undefined)).map((run) => run.version).toSorted()
  // Readers see the third.
  expect(await prunable(1)).toEqual([1, 2, 4])
  expect(await prunable(2)).toEqual([1, 2])
  expect(await prunable(4)).toEqual([1])
  expect(await prunable(100)).toEqual([])
  expect(runs[0]?.revenueDate).toBe(testDate)
})
