import { eq } from "drizzle-orm"
import { expect, test } from "vitest"
import { runs } from "../../../../schemas/database/ledger.ts"
import { listMentions } from "../../../../shared/ledger/erasures/list-mentions.ts"
import { listUserBounds, moveBounds } from "../../../../shared/ledger/erasures/move-bounds.ts"
import { moveRun } from "../../../../shared/ledger/runs/run-transitions.ts"
import { listShards } from "../../../../shared/ledger/shards/find-shards.ts"
import { fail, finish } from "../../../fixtures/play-run.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"
import { beginRun, cutAt, testDate } from "../../../fixtures/test-run.ts"

const database = useTestDatabase()
const reason = "user 4711 spent too much"

async function decideRunAbout4711() {
  await database.forgetRuns()
  const run = await beginRun(database.db, cutAt(4_711n))
  await fail(database.db, run, 0, reason)
  await finish(database.db, run, [{ index: 0, reason }])
  return run
}

test("a text that another process has replaced since it was read stays, and so does one of a run that is open again", async () => {
  const run = await decideRunAbout4711()
  const { db } = database
  const [verdict, error] = await listMentions(db, testDate, ["4711"])
  if (!verdict || !error) throw new Error("a verdict and a shard's error name the user")
  expect([verdict.where, error.where]).toEqual([`run ${run.runId}`, `shard 0 of run ${run.runId}`])

  await database.query("UPDATE runs SET verdict = 'a newer verdict'", "UPDATE shards SET epoch = epoch + 1")
  expect(await verdict.replace("nobody")).toBe(false)
  expect(await error.replace("nobody")).toBe(false)

  await db.update(runs).set({ verdict: verdict.text }).where(eq(runs.runId, run.runId))
  await moveRun(db, run, "rerun")
  expect(await verdict.replace("nobody")).toBe(false)
  await database.query("UPDATE runs SET state = 'incomplete'")
  expect(await verdict.replace("nobody")).toBe(true)

  const [again] = await listMentions(db, testDate, ["4711"])
  expect(await again?.replace("nobody")).toBe(true)
  expect(await listMentions(db, testDate, ["4711"])).toEqual([])
})

test("ranges move only while the run is decided and has the dispatch that its rows were read by", async () => {
  const run = await decideRunAbout4711()
  const { db } = database
  const [bound] = await listUserBounds(db, testDate, ["4711"])
  expect(bound).toEqual({ runId: run.runId, version: run.version, dispatch: run.dispatch, key: "4711" })
  const bounds = async () => (await listShards(db, run.runId)).map(({ rangeFrom, rangeTo }) => [rangeFrom, rangeTo])
  const before = [
    [null, "4711"],
    ["4711", null],
  ]

  await moveRun(db, run, "rerun")
  expect(await moveBounds(db, run, ["4711"], "4712")).toBe(false)
  await database.query("UPDATE runs SET state = 'incomplete', dispatch = dispatch + 1")
  expect(await moveBounds(db, run, ["4711"], "4712")).toBe(false)
  expect(await bounds()).toEqual(before)

  expect(await moveBounds(db, { ...run, dispatch: run.dispatch + 1 }, ["4711"], "4712")).toBe(true)
  expect(await bounds()).toEqual([
    [null, "4712"],
    ["4712", null],
  ])
})
