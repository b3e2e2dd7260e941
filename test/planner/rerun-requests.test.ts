import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { formatJson } from "../../schemas/json.ts"
import { takeRerunRequest } from "../../services/planner/rerun-shards.ts"
import { takeRunStart } from "../../services/planner/start-run.ts"
import { rejectionPath } from "../../shared/documents/document-paths.ts"
import { markAnnounced } from "../../shared/ledger/runs/announce-run.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../shared/ledger/runs/decide-run.ts"
import { findDispatch } from "../../shared/ledger/runs/find-dispatches.ts"
import { findRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { openPlannerFixture, type PlannerFixture, pushed } from "../fixtures/planner-fixture.ts"
import { beginRun, cutAt } from "../fixtures/test-run.ts"

let fixture: PlannerFixture
let run: Run

beforeAll(async () => {
  fixture = await openPlannerFixture()
})
afterAll(() => fixture.close())
beforeEach(async () => {
  await fixture.database.forgetRuns()
  run = await beginRun(fixture.database.db, cutAt(10n, 20n, 30n))
})

const request = (data: unknown) => {
  const message = pushed(data)
  return takeRerunRequest(fixture.context, message).then(() => message)
}
const current = async () => (await findRun(fixture.database.db, run.runId)) as Run

async function conclude(state: "complete" | "incomplete", faulty: number[] = [], of = run): Promise<void> {
  await closeRun(fixture.database.db, of)
  const verdict = formatJson(VerdictSchema, {
    verdict: state,
    runId: of.runId,
    date: of.revenueDate,
    version: of.version,
    dispatch: of.dispatch,
    requestId: of.requestId,
    decidedAt: "2026-11-23T02:00:00Z",
    shards: 4,
    ...Object.fromEntries(
      ["manifests", "revenue", "source", "guests"].map((name) => [name, { purchases: 0n, amountCents: "0" }]),
    ),
    faults: faulty.map((index) => ({ index, fault: "missing", reason: "no task claimed it" })),
  })
  await decideRun(fixture.database.db, of, { state, verdict })
  await markAnnounced(fixture.database.db, of)
}

async function rejection(data: unknown): Promise<string> {
  const { id } = await request(data)
  const [document] = await fixture.context.bucket.file(rejectionPath("rerun-requests", id)).download()
  const verdict = fixture.verdicts().at(-1)
  expect(verdict).toMatchObject({ verdict: "rejected", requestId: id })
  expect(JSON.parse(document.toString()).reason).toBe(verdict?.reason)
  return verdict?.reason ?? ""
}

test("a rerun without shards offers all that the verdict found wanting, as the next dispatch", async () => {
  await conclude("incomplete", [1, 3])
  const before = fixture.workItems().length
  await request({ runId: run.runId })
  expect(await current()).toMatchObject({ state: "running", dispatch: 1, verdict: null })
  const shards = await listShards(fixture.database.db, run.runId)
  expect(shards.map(({ state, dispatch, position }) => [state, dispatch, position])).toEqual([
    ["missing", 0, 0],
    ["offered", 1, 0],
    ["missing", 0, 2],
    ["offered", 1, 1],
  ])
  const items = fixture.workItems().slice(before)
  expect(items.map((item) => [item.attributes.dispatch, item.attributes.index])).toEqual([
    ["1", "1"],
    ["1", "3"],
  ])
})

test("a rerun of a run whose backfill was cancelled waits for its slot, and gets it", async () => {
  const { database } = fixture
  await database.query(
    "INSERT INTO backfills (backfill_id, from_date, to_date, which, runs_at_once, state, requested_at) VALUES ('b', '2026-11-22', '2026-11-22', 'all', 1, 'cancelled', NOW(3))",
    `UPDATE runs SET backfill_id = 'b' WHERE run_id = '${run.runId}'`,
  )
  await conclude("incomplete", [1])
  await database.query("UPDATE controls SET paused = 1")
  await request({ runId: run.runId })
  expect(await current()).toMatchObject({ state: "waiting", dispatch: 1 })
  await database.query("UPDATE controls SET paused = 0")
  await takeRunStart(fixture.context, pushed({ runId: run.runId }))
  expect(await current()).toMatchObject({ state: "running", dispatch: 1 })
  expect(await findDispatch(database.db, run.runId, 1)).toMatchObject({ execution: expect.any(String) as string })
})

test("a rerun of named shards of the date's newest run offers those, each once", async () => {
  await conclude("incomplete", [1, 3])
  await request({ date: run.revenueDate, shards: [2, 0, 2] })
  const offered = (await listShards(fixture.database.db, run.runId)).filter((shard) => shard.state === "offered")
  expect(offered.map((shard) => shard.shardIndex)).toEqual([0, 2])
})

test("the same rerun message again, during the rerun and after it, opens nothing more", async () => {
  await conclude("incomplete", [1])
  const message = await request({ runId: run.runId })
  await takeRerunRequest(fixture.context, message)
  expect((await current()).dispatch).toBe(1)
  await conclude("incomplete", [1], await current())
  const executions = (await fixture.executions()).length
  await takeRerunRequest(fixture.context, message)
  expect(await current()).toMatchObject({ state: "incomplete", dispatch: 1 })
  expect(await fixture.executions()).toHaveLength(executions)
})

test("a rerun that died before its execution goes on when its message comes again", async () => {
  await conclude("incomplete", [1])
  const message = pushed({ runId: run.runId })
  const brokenJob = { ...fixture.context, job: `${fixture.context.job}-gone` }
  await expect(takeRerunRequest(brokenJob, message)).rejects.toThrow("NOT_FOUND")
  const executions = (await fixture.executions()).length
  await takeRerunRequest(fixture.context, message)
  expect(await fixture.executions()).toHaveLength(executions + 1)
  expect((await current()).dispatch).toBe(1)
})

test("a rerun that comes before its verdict is announced is left to be delivered again", async () => {
  await conclude("incomplete", [1])
  await fixture.database.query("UPDATE runs SET announced_at = NULL")
  await expect(request({ runId: run.runId })).rejects.toThrow("on its way")
  expect((await current()).state).toBe("incomplete")
})

describe("a rerun that cannot be is rejected with what to do instead", () => {
  test("an unknown run", async () => {
    expect(await rejection({ runId: "2026-11-22-nope" })).toContain('there is no run "2026-11-22-nope"')
    expect(await rejection({ date: "1999-01-01" })).toContain('no run of the date "1999-01-01"')
    expect(await rejection({ date: "tomorrow" })).toContain('no run of the date "tomorrow"')
  })

  test("a run that is running", async () => {
    expect(await rejection({ runId: run.runId })).toContain("is running: wait for its verdict")
  })

  test("a run that is complete", async () => {
    await conclude("complete")
    expect(await rejection({ runId: run.runId })).toContain('publish {"date":"2026-11-22"} on run-requests')
  })

  test("a run that is not the newest of its date", async () => {
    await conclude("incomplete", [1])
    const newer = await beginRun(fixture.database.db, cutAt())
    expect(await rejection({ runId: run.runId })).toContain(`${newer.runId} is the newest (version 2, running)`)
  })

  test("shards that do not exist", async () => {
    await conclude("incomplete", [1])
    expect(await rejection({ runId: run.runId, shards: [1, 4, -1] })).toContain("no shard 4, -1: its shards are 0 to 3")
  })

  test("a verdict that names no shard", async () => {
    await conclude("incomplete", [])
    expect(await rejection({ runId: run.runId })).toContain("names no shard")
  })

  test.each([
    ["{", "RerunRequest: not JSON"],
    [{}, "missing: one of runId, date"],
    [{ runId: "a", date: "b" }, "RerunRequest"],
    [{ runId: "a", shards: "all" }, "RerunRequest.shards: expected Array"],
  ])("%j", async (data, reason) => {
    expect(await rejection(data)).toContain(reason)
  })
})
