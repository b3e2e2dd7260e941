import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { plainShop } from "../../schemas/database/shop.ts"
import { integerUsers } from "../../schemas/database/user-type.ts"
import { PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { parseDocument } from "../../schemas/json.ts"
import { InjectedError } from "../../services/emulators/faults.ts"
import { planRun } from "../../services/planner/plan-run.ts"
import { sizeShards } from "../../services/planner/size-shards.ts"
import { planPath } from "../../shared/documents/document-paths.ts"
import { abandonRun } from "../../shared/ledger/runs/abandon-run.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import { findDispatch } from "../../shared/ledger/runs/find-dispatches.ts"
import { findRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import { openRun } from "../../shared/ledger/runs/open-run.ts"
import { claimShard } from "../../shared/ledger/shards/claim-shards.ts"
import { takeReport } from "../../shared/ledger/shards/count-report.ts"
import { failShard } from "../../shared/ledger/shards/fail-shard.ts"
import { listShards, type Shard } from "../../shared/ledger/shards/find-shards.ts"
import { offerShards } from "../../shared/ledger/shards/offer-shards.ts"
import { shardRange } from "../../shared/ledger/shards/shard-range.ts"
import { findGap, parseRange } from "../../shared/range.ts"
import { openPlannerFixture, type PlannerFixture } from "../fixtures/planner-fixture.ts"
import { insertPurchases } from "../fixtures/test-database.ts"
import { admitNewRun, cutAt } from "../fixtures/test-run.ts"

let fixture: PlannerFixture
let run: Run

const SHARDS = 60
const task = { execution: "e", taskIndex: 0, attempt: 0 }

beforeAll(async () => {
  fixture = await openPlannerFixture()
  const rows = Array.from({ length: SHARDS * 10 }, (_, n): [number, number, string] => [n, 1, "2026-11-22 12:00:00"])
  await fixture.database.query(insertPurchases(rows))
})
afterAll(() => fixture.close())
beforeEach(async () => {
  await fixture.database.forgetRuns()
  run = await admitNewRun(fixture.database.db)
})

const again = async () => (await findRun(fixture.database.db, run.runId)) as Run
const shards = () => listShards(fixture.database.db, run.runId)
const rangesOf = (rows: Shard[]) => rows.map((row) => shardRange(integerUsers, row))
const executionsOf = async () =>
  (await fixture.executions()).filter((execution) =>
    execution.template?.containers?.[0]?.env?.some((entry) => entry.value === run.runId),
  )

/** The ledger, plan.json and work items say the same, and each shard was cut once. */
async function expectWhole(): Promise<void> {
  const rows = await shards()
  const ranges = rangesOf(rows)
  expect(findGap(ranges)).toBeUndefined()
  expect(rows).toHaveLength(SHARDS)
  expect(await again()).toMatchObject({ state: "running", shardCount: SHARDS })
  expect((await findDispatch(fixture.database.db, run.runId, 0))?.shardCount).toBe(SHARDS)
  const [text] = await fixture.context.bucket.file(planPath(run.runId)).download()
  const plan = parseDocument(PlanSchema, text.toString())
  expect(plan.shards.map((fields) => parseRange(integerUsers, fields))).toEqual(ranges)
  const items = fixture.workItems().filter((item) => item.attributes["runId"] === run.runId)
  const sent = new Set(items.map((item) => Number(item.attributes["index"])))
  const unclaimed = rows.filter((row) => row.state === "offered")
  for (const { shardIndex } of unclaimed) expect(sent).toContain(shardIndex)
  expect(await executionsOf()).toHaveLength(1)
}

test("tasks are started, and have their shards, while the plan is still being cut", async () => {
  const started = Promise.withResolvers<{ offered: number; run: Run }>()
  const remove = fixture.runJobs.faults.add({
    matches: ({ method }) => method === "RunJob",
    before: async () => started.resolve({ offered: (await shards()).length, run: await again() }),
  })
  const removeSlow = fixture.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.endsWith("/plan.json"),
    // The plan is not written before the execution is asked for.
    before: async () => void (await started.promise),
  })
  await planRun(fixture.context, run)
  remove()
  removeSlow()
  const atStart = await started.promise
  expect(atStart.offered).toBeGreaterThanOrEqual(fixture.context.tasksMax)
  expect(atStart.run).toMatchObject({ state: "planning", plannedAt: null })
  await expectWhole()
})

test.each([
  ["after the first cuts", (call: { method: string }) => call.method === "Publish"],
  ["after the last cut is fixed", ({ resource }: { resource: string }) => resource.endsWith("/plan.json")],
])("a planner that dies %s leaves a beginning, and the next delivery cuts the rest", async (_when, matches) => {
  const kill = [fixture.storage.faults, fixture.pubsubServer.faults].map((faults) =>
    faults.add({
      matches: (call) => call.method !== "storage.objects.get" && matches(call),
      before: () => {
        throw new InjectedError("PERMISSION_DENIED", "dead")
      },
    }),
  )
  await expect(planRun(fixture.context, run)).rejects.toThrow("dead")
  for (const remove of kill) remove()
  const before = await shards()
  expect(before.length).toBeGreaterThan(0)
  expect(await again()).toMatchObject({ state: "planning" })
  // A task had one of them meanwhile, and purchases came that shift every later cut.
  const claimed = await claimShard(fixture.database.db, { runId: run.runId, shardIndex: 1, dispatch: 0 }, task)
  expect(claimed).toBeDefined()
  await planRun(fixture.context, await again())
  expect(rangesOf((await shards()).slice(0, before.length))).toEqual(rangesOf(before))
  await expectWhole()
})

test("of two planners of one run, one goes on and the other gives up", async () => {
  const outcomes = await Promise.allSettled([planRun(fixture.context, run), planRun(fixture.context, run)])
  expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(1)
  for (const outcome of outcomes) {
    if (outcome.status === "rejected")
      expect(String(outcome.reason)).toContain("has changed while it was being planned")
  }
  if ((await again()).state === "planning") await planRun(fixture.context, await again())
  expect(findGap(rangesOf(await shards()))).toBeUndefined()
  await expect(again()).resolves.toMatchObject({ state: "running", shardCount: SHARDS })
})

test("shards are appended in their order alone, and not to a run that was closed", async () => {
  const { db } = fixture.database
  const [a, b, c] = cutAt(10n, 20n) as [object, object, object]
  expect(await offerShards(db, run, 1, [b])).toBe(false)
  expect(await offerShards(db, run, 0, [a])).toBe(true)
  expect(await offerShards(db, run, 0, [a])).toBe(false)
  expect(await offerShards(db, run, 1, [b], 3)).toBe(true)
  // Fixed: nothing else may be appended, and the same again is the same.
  expect(await offerShards(db, run, 2, [c])).toBe(false)
  expect(await offerShards(db, run, 2, [], 3)).toBe(true)
  expect(await offerShards(db, run, 2, [], 4)).toBe(false)
  await closeRun(db, run)
  expect(await openRun(db, run, 3, c)).toBe(false)
  expect(await shards()).toHaveLength(2)
})

test("the report that completes a dispatch is never taken before its run is planned to its end", async () => {
  const { db } = fixture.database
  const [a, b, c] = cutAt(10n, 20n) as [object, object, object]
  await offerShards(db, run, 0, [a, b], 3)
  const report = async (index: number) => {
    const claim = await claimShard(db, { runId: run.runId, shardIndex: index, dispatch: 0 }, task)
    if (!claim) throw new Error(`shard ${index} cannot be claimed`)
    await failShard(db, claim, "no reason")
    return takeReport(db, { runId: run.runId, index, dispatch: 0, epoch: claim.epoch })
  }
  expect(await report(0)).toBeGreaterThan(0)
  expect(await report(1)).toBeGreaterThan(0)
  await openRun(db, run, 3, c)
  expect((await findDispatch(db, run.runId, 0))?.reported).toBe(2)
  expect(await report(2)).toBe(0)
})

test("a run is taken back only while nobody can be at work for it", async () => {
  const { db } = fixture.database
  const other = await admitNewRun(db, { revenueDate: "2026-11-21" })
  expect(await abandonRun(db, other.runId)).toBe(true)
  expect(await findRun(db, other.runId)).toBeUndefined()
  await offerShards(db, run, 0, cutAt(10n).slice(0, 1))
  expect(await abandonRun(db, run.runId)).toBe(false)
  expect(await again()).toMatchObject({ state: "planning" })
})

test("without a size that is set, shards grow with the day, so that each task has about twenty", async () => {
  const size = (rows: number, tasks: number, shardPurchases: number | "auto" = "auto") => {
    const execute = async () => [[{ rows: String(rows) }]]
    return sizeShards({ execute } as never, { ...run, shop: plainShop }, tasks, { shardPurchases, shardsMax: 1_000 })
  }
  expect(await size(0, 2)).toBe(50_000)
  expect(await size(1_000_000, 2)).toBe(50_000)
  expect(await size(10_000_000, 2)).toBe(250_000)
  expect(await size(10_000_000, 50)).toBe(50_000)
  expect(await size(400_000_000, 2)).toBe(500_000)
  expect(await size(10_000_000, 2, 12_000)).toBe(12_000)
  await expect(size(10_000_000, 2, 7)).rejects.toThrow("more than 1000 shards: make SHARD_PURCHASES bigger")
})
