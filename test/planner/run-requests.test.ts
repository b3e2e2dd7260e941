import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { plainShop } from "../../schemas/database/shop.ts"
import { PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { parseJson } from "../../schemas/json.ts"
import { failAfter, failBefore, InjectedError } from "../../services/emulators/faults.ts"
import { judgeRun } from "../../services/finalizer/verdict/judge-run.ts"
import { takeRunRequest, takeRunStart } from "../../services/planner/start-run.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { noTotals } from "../../shared/day/totals.ts"
import { planPath, rejectionPath } from "../../shared/documents/document-paths.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../shared/ledger/runs/decide-run.ts"
import { findDispatch } from "../../shared/ledger/runs/find-dispatches.ts"
import { findRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { openPlannerFixture, type PlannerFixture, pushed } from "../fixtures/planner-fixture.ts"
import { insertPurchases, shopTables } from "../fixtures/test-database.ts"

let fixture: PlannerFixture

beforeAll(async () => {
  fixture = await openPlannerFixture()
  const rows = Array.from({ length: 45 }, (_, n): [number, number, string] => [n, 100, "2026-11-22 12:00:00"])
  await fixture.database.query(insertPurchases(rows))
})
afterAll(() => fixture.close())
beforeEach(() => fixture.database.forgetRuns())

const request = (message = pushed({ date: "2026-11-22" }), context = fixture.context) =>
  takeRunRequest(context, message).then(() => message)
const runOf = async (id: string) => (await findRun(fixture.database.db, `2026-11-22-${id}`)) as Run
const newest = <T>(list: readonly T[]) => list.at(-1)

async function lastRejection(id: string): Promise<string | undefined> {
  const [document] = await fixture.context.bucket.file(rejectionPath("run-requests", id)).download()
  const verdict = newest(fixture.verdicts())
  expect(JSON.parse(document.toString())).toMatchObject({ verdict: "rejected", requestId: id, reason: verdict?.reason })
  expect(verdict).toMatchObject({ verdict: "rejected", requestId: id })
  return verdict?.reason
}

test("a request becomes a run: a plan, work items, and an execution told which run it is for", async () => {
  const before = fixture.workItems().length
  const { id } = await request()
  const run = await runOf(id)
  expect(run).toMatchObject({ state: "running", version: 1, shardCount: 5, dispatch: 0 })
  const [plan] = await fixture.context.bucket.file(planPath(run.runId)).download()
  expect(parseJson(PlanSchema, plan.toString()).shards).toHaveLength(5)
  const items = fixture.workItems().slice(before)
  expect(items.map((item) => item.attributes)).toEqual(
    [0, 1, 2, 3, 4].map((index) => ({ runId: run.runId, dispatch: "0", index: String(index) })),
  )
  const executions = await fixture.executions()
  const env = executions.find((execution) =>
    execution.template?.containers?.[0]?.env?.some((entry) => entry.value === run.runId),
  )
  expect(env?.taskCount).toBe(4)
  expect(env?.template?.containers?.[0]?.env).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: "RUN_ID", value: run.runId }),
      expect.objectContaining({ name: "DISPATCH", value: "0" }),
    ]),
  )
})

test("the same message again is the same run, and starts nothing more", async () => {
  const message = await request()
  const before = { items: fixture.workItems().length, executions: (await fixture.executions()).length }
  await request(message)
  expect(fixture.workItems()).toHaveLength(before.items)
  expect(await fixture.executions()).toHaveLength(before.executions)
})

test("a request delivered again while its day becomes complete leaves no subscription behind", async () => {
  const { db } = fixture.database
  const message = pushed({ date: "2026-11-22" })
  const runId = `2026-11-22-${message.id}`
  const name = `projects/local/subscriptions/run-${runId}`
  const names = () => fixture.pubsubServer.subscriptions().map((subscription) => subscription.name)
  // Its planner dies after RunJob.
  const kill = fixture.storage.faults.add({
    matches: ({ resource }) => resource.endsWith("/dispatch-0.json"),
    before: () => Promise.reject(new InjectedError("PERMISSION_DENIED", "the planner is dead")),
  })
  await expect(request(message)).rejects.toThrow("the planner is dead")
  kill()
  const remove = fixture.pubsubServer.faults.add({
    matches: ({ method }) => method === "CreateSubscription",
    before: async () => {
      const run = (await findRun(db, runId)) as Run
      await closeRun(db, run)
      await decideRun(db, run, { state: "complete", verdict: "{}" })
    },
  })
  await request(message)
  remove()
  expect(names()).not.toContain(name)
  // This planner died before it could look: the next delivery does.
  await fixture.context.pubsub.topic("work-items").createSubscription(`run-${runId}`)
  await request(message)
  expect(names()).not.toContain(name)
})

test("the same message delivered many times at once ends as one run with one plan", async () => {
  const message = pushed({ date: "2026-11-22" })
  await Promise.allSettled(Array.from({ length: 5 }, () => request(message)))
  await request(message)
  expect(await fixture.database.query("SELECT run_id FROM runs")).toHaveLength(1)
  expect(await listShards(fixture.database.db, `2026-11-22-${message.id}`)).toHaveLength(5)
  expect((await runOf(message.id)).state).toBe("running")
})

test("a second request for a date whose run is unfinished is rejected with the id of that run", async () => {
  const first = await request()
  const second = await request()
  expect(await lastRejection(second.id)).toContain(`run 2026-11-22-${first.id} of 2026-11-22 is unfinished (running)`)
  expect(await fixture.database.query("SELECT run_id FROM runs")).toHaveLength(1)
})

test("a rejected message stays rejected when it comes again after the reason is gone", async () => {
  const first = await request()
  const second = await request()
  const run = await runOf(first.id)
  await closeRun(fixture.database.db, run)
  await decideRun(fixture.database.db, run, { state: "incomplete", verdict: "{}" })
  await request(second)
  expect(await lastRejection(second.id)).toContain("is unfinished")
  expect(await runOf(second.id)).toBeUndefined()
  expect((await request()).id).not.toBe(second.id)
})

describe("what can never succeed is acknowledged and answered by a rejected verdict", () => {
  test.each<[unknown, string]>([
    ["date=2026-11-22", "RunRequest: not JSON"],
    ["", "RunRequest: empty"],
    [{}, "RunRequest.date: missing"],
    [{ date: "2026-11-22", force: true }, "RunRequest.force: unknown field"],
    [{ date: 20261122 }, "RunRequest.date: expected string"],
    [{ date: "2026-02-30" }, "2026-02-30 does not exist"],
    [{ date: "2026-11-23" }, "has not ended yet in UTC"],
    [{ date: "2031-01-01" }, "has not ended yet in UTC"],
  ])("%j", async (data, reason) => {
    const { id } = await request(pushed(data))
    expect(await lastRejection(id)).toContain(reason)
    expect(await fixture.database.query("SELECT run_id FROM runs")).toHaveLength(0)
  })
})

test('"yesterday" is the day before the message was published', async () => {
  const message = await request(pushed({ date: "yesterday" }, "2026-11-23T00:00:01Z"))
  expect(await runOf(message.id)).toMatchObject({ revenueDate: "2026-11-22", state: "running" })
})

test("a date without purchases is a run of one shard", async () => {
  const message = await request(pushed({ date: "2026-11-01" }))
  const shards = await listShards(fixture.database.db, `2026-11-01-${message.id}`)
  expect(shards).toMatchObject([{ rangeFrom: null, rangeTo: null }])
})

describe("a shop that cannot be read is rejected with what to do", () => {
  test("the index of a big table is missing", async () => {
    await fixture.database.query("ALTER TABLE purchases DROP KEY purchases_day_slice")
    fixture.context.scanRowsMax = 0
    const { id } = await request()
    expect(await lastRejection(id)).toContain("CREATE INDEX daybook_purchased_at ON purchases (purchased_at)")
    fixture.context.scanRowsMax = undefined
    await fixture.database.query(
      "CREATE INDEX purchases_day_slice ON purchases (purchased_on, user_id, purchased_at, amount_cents)",
    )
  })

  test("the table is missing", async () => {
    await fixture.database.query("RENAME TABLE purchases TO kept")
    const { id } = await request()
    expect(await lastRejection(id)).toMatch(/not as it is declared: .*purchases' doesn't exist/)
    await fixture.database.query("RENAME TABLE kept TO purchases")
    expect(shopTables).toHaveLength(2)
  })
})

test("a plan that would have too many shards is rejected, and does not keep its date", async () => {
  // What the server knows of a table that was just renamed it may not have read back yet.
  await fixture.database.query("ANALYZE TABLE purchases")
  const { id } = await request(pushed({ date: "2026-11-22" }), { ...fixture.context, shardsMax: 4 })
  expect(await lastRejection(id)).toContain("more than 4 shards: make SHARD_PURCHASES bigger")
  expect(await fixture.database.query("SELECT run_id FROM runs")).toHaveLength(0)
})

describe("what may succeed later is not acknowledged, says what is wrong, and goes on when delivered again", () => {
  async function failsThenGoesOn(context: PlannerFixture["context"], fault: RegExp | string): Promise<void> {
    const message = pushed({ date: "2026-11-22" })
    await expect(request(message, context)).rejects.toThrow(fault)
    await request(message)
    expect(await runOf(message.id)).toMatchObject({ state: "running", shardCount: 5 })
    expect((await fixture.executions()).length).toBeGreaterThan(0)
  }

  test("the bucket is missing", async () => {
    const bucket = fixture.context.bucket.storage.bucket("nowhere")
    await failsThenGoesOn({ ...fixture.context, bucket }, /bucket does not exist/i)
  })

  test("the job is missing", async () => {
    await failsThenGoesOn({ ...fixture.context, job: `${fixture.context.job}-gone` }, /NOT_FOUND.*worker-gone/)
  })

  test("the topic of the work items is missing", async () => {
    await fixture.context.pubsub.topic("work-items").delete()
    const message = pushed({ date: "2026-11-22" })
    await expect(request(message)).rejects.toThrow(/NOT_FOUND/)
    await fixture.context.pubsub.createTopic("work-items")
    await request(message)
    expect(await runOf(message.id)).toMatchObject({ state: "running", shardCount: 5 })
  })
})

test("a RunJob that fails after it has started the execution is tried again, and the run has its execution", async () => {
  const remove = fixture.runJobs.faults.add(failAfter({ method: "RunJob" }, "UNAVAILABLE"))
  const before = (await fixture.executions()).length
  const { id } = await request()
  remove()
  expect((await fixture.executions()).length).toBe(before + 2)
  const [dispatch] = await fixture.database.query<{ execution: string }>("SELECT execution FROM dispatches")
  expect(dispatch?.execution).toMatch(/^worker-[a-z0-9]{5}$/)
  expect((await runOf(id)).state).toBe("running")
})

test("a plan that was written though the answer was an error is the plan", async () => {
  const remove = fixture.storage.faults.add(failAfter({ method: "storage.objects.insert" }, "UNAVAILABLE"))
  const { id } = await request()
  remove()
  expect((await runOf(id)).shardCount).toBe(5)
})

test("Storage, Pub/Sub and Run that refuse for a moment do not keep a run from starting", async () => {
  const removes = [
    fixture.storage.faults.add(failBefore({ method: "storage.objects.insert" }, "UNAVAILABLE")),
    fixture.storage.faults.add(failBefore({ method: "storage.objects.get" }, "INTERNAL")),
    fixture.pubsubServer.faults.add(failBefore({ method: "Publish" }, "UNAVAILABLE")),
    fixture.pubsubServer.faults.add(failBefore({ method: "CreateSubscription" }, "UNAVAILABLE")),
    fixture.runJobs.faults.add(failBefore({ method: "GetJob" }, "UNAVAILABLE")),
    fixture.runJobs.faults.add(failBefore({ method: "RunJob" }, "UNAVAILABLE")),
  ]
  const { id } = await request()
  for (const remove of removes) remove()
  expect((await runOf(id)).state).toBe("running")
})

describe("what a server refuses again and again", () => {
  const refuse = (method: string) =>
    fixture.runJobs.faults.add({
      matches: (call) => call.method === method,
      before: () => {
        throw new InjectedError("PERMISSION_DENIED", "no role that allows it")
      },
    })

  test("ends the run that has begun with a verdict: its date is free", async () => {
    const remove = refuse("RunJob")
    const message = pushed({ date: "2026-11-22" })
    for (const deliveryAttempt of [1, 5]) {
      await expect(request({ ...message, deliveryAttempt })).rejects.toThrow("no role that allows it")
      expect(await runOf(message.id)).toMatchObject({ state: expect.stringMatching(/planning|running/) as string })
    }
    await request({ ...message, deliveryAttempt: 6 })
    remove()
    const run = await runOf(message.id)
    expect(run).toMatchObject({ state: "verifying", dispatchError: expect.stringContaining("no role") as string })
    const evidence = { plan: "", shards: [], strangers: [], guests: noTotals(plainShop.layout) }
    const [finding] = await judgeRun({ ...run, shop: plainShop }, evidence)
    expect(finding).toMatchObject({
      kind: "failed",
      reason: expect.stringMatching(/not be started: .*no role/) as string,
    })
  })

  test("rejects a request that is no run yet", async () => {
    const message = pushed({ date: "2026-11-22" })
    const execute = () => fixture.database.db.execute("SELECT no_such_function()")
    const context = { ...fixture.context, shopDb: { execute } as unknown as Database }
    await expect(request({ ...message, deliveryAttempt: 5 }, context)).rejects.toThrow("shop cannot be read")
    await request({ ...message, deliveryAttempt: 6 }, context)
    expect(await lastRejection(message.id)).toMatch(/^tried again and again since .*no_such_function/)
  })
})

test("a need of Daybook's own is one run however often it is asked for; who asks, and why, is kept", async () => {
  const attributes = { cause: "2026-11-22 gap 1", askedBy: " Renée ", via: "gap", note: `why ${"😀".repeat(2_000)}` }
  const first = await request({ ...pushed({ date: "2026-11-22" }), attributes })
  const second = await request({ ...pushed({ date: "2026-11-22" }), attributes })
  const run = await runOf(first.id)
  expect(run).toMatchObject({ cause: "2026-11-22 gap 1", askedBy: "Renée", via: "gap" })
  expect(Array.from(run.note ?? "")).toHaveLength(1_000)
  expect(await findDispatch(fixture.database.db, run.runId, 0)).toMatchObject({ askedBy: "Renée", via: "gap" })
  expect(await runOf(second.id)).toBeUndefined()
  expect(fixture.verdicts().filter(({ requestId }) => requestId === second.id)).toEqual([])
  // Of another date it says nothing.
  const other = await request({ ...pushed({ date: "2026-11-21" }), attributes })
  expect(await findRun(fixture.database.db, `2026-11-21-${other.id}`)).toMatchObject({ cause: null })
})

test("the request and the start that a sweep sends at the same moment plan a run once, and neither fails", async () => {
  const { db } = fixture.database
  for (let round = 0; round < 5; round++) {
    await fixture.database.forgetRuns()
    const message = { ...pushed({ date: "2026-11-22" }), deliveryAttempt: 1 }
    const runId = `2026-11-22-${message.id}`
    const starts = async () => {
      while ((await findRun(db, runId)) === undefined);
      await takeRunStart(fixture.context, { ...pushed({ runId }), deliveryAttempt: 1 })
    }
    await expect(Promise.all([request(message), starts(), starts(), starts()])).resolves.toBeDefined()
    expect(await runOf(message.id)).toMatchObject({ state: "running" })
    expect(await findDispatch(db, runId, 0)).toMatchObject({ execution: expect.any(String) as string })
  }
})
