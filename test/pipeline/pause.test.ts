import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { LOOK_MS } from "../../services/worker/claim-gate.ts"
import { runDaybook } from "../rooms/run-daybook.ts"
import { type Pipeline, purchasesOf, startPipeline } from "../rooms/start-pipeline.ts"

const dates = ["2026-10-01", "2026-10-02"] as const

let pipeline: Pipeline
beforeAll(async () => {
  pipeline = await startPipeline({
    shardPurchases: 10,
    settings: { THROTTLE_QUERY: "SELECT COUNT(*) FROM busy", THROTTLE_MINUTES_MAX: "5" },
  })
  await pipeline.query("CREATE TABLE busy (n INT)")
  for (const date of dates) await pipeline.query(...purchasesOf(120, 3, date))
})
afterAll(() => pipeline?.stop())

const status = async () => (await runDaybook(pipeline.cloud.env, "status", "--from", dates[0], "--to", dates[1])).stdout

const runOf = async (date: string) => {
  const [row] = await pipeline.query<{ run_id: string; state: string; paused_at: unknown; throttled: string | null }>(
    `SELECT run_id, state, paused_at, throttled FROM runs WHERE revenue_date = '${date}' ORDER BY version DESC LIMIT 1`,
  )
  return row
}
const soon = { timeout: 30_000, interval: 50 }

test("paused, tasks claim nothing more, requests wait; resumed, what is left is brought to other tasks", async () => {
  // The tasks are at work when the pause begins: one shard is held.
  const released = Promise.withResolvers<void>()
  let heldAt: number | undefined
  const remove = pipeline.cloud.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.includes("/shards/"),
    before: () => {
      heldAt = performance.now()
      return released.promise
    },
  })
  const first = await pipeline.publish("run-requests", { date: dates[0] })
  await vi.waitFor(async () => expect((await runOf(dates[0]))?.state).toBe("running"), soon)
  await vi.waitFor(() => expect(heldAt).toBeDefined(), soon)
  await pipeline.publish("pause-requests", { paused: true }, { askedBy: "Ada", note: "the sale" })
  await vi.waitFor(async () => expect(await status()).toContain("by Ada (the sale)"), soon)
  const second = await pipeline.publish("run-requests", { date: dates[1] })
  await vi.waitFor(async () => expect((await runOf(dates[1]))?.state).toBe("waiting"), soon)
  // Whichever of them was held last has looked before that, and looks again before its next claim.
  await vi.waitFor(() => expect(performance.now() - (heldAt ?? Infinity)).toBeGreaterThan(LOOK_MS), soon)
  remove()
  released.resolve()
  await vi.waitFor(() => expect(pipeline.cloud.runJobs.tasks()).toEqual([]), soon)
  const run = await runOf(dates[0])
  expect(run).toMatchObject({ state: "running", paused_at: expect.anything() as unknown })
  const left = (await pipeline.shards(run?.run_id ?? "")).filter(({ state }) => state === "offered")
  expect(left.length).toBeGreaterThan(0)
  expect(await status()).toContain("no task is at work")
  await pipeline.cloud.sweep()
  expect((await runOf(dates[0]))?.state).toBe("running")

  await pipeline.publish("pause-requests", { paused: false })
  expect(await pipeline.awaitVerdict(first)).toMatchObject({ verdict: "complete", dispatch: 0 })
  expect(await pipeline.awaitVerdict(second)).toMatchObject({ verdict: "complete" })
  for (const date of dates) await pipeline.expectRevenue(date)
  expect(await runOf(dates[0])).toMatchObject({ state: "complete", paused_at: null })
})

test("a pause that has an end is over by itself; what is no time is rejected", async () => {
  const until = new Date(Date.now() + 3_000).toISOString()
  await pipeline.publish("pause-requests", { paused: true, until })
  await vi.waitFor(async () => expect(await status()).toContain("paused since"), soon)
  const requestId = await pipeline.publish("run-requests", { date: dates[0] })
  expect(await pipeline.awaitVerdict(requestId)).toMatchObject({ verdict: "complete", version: 2 })
  const rejected = await pipeline.awaitVerdict(
    await pipeline.publish("pause-requests", { paused: true, until: "soon" }),
  )
  expect(rejected).toMatchObject({
    verdict: "rejected",
    reason: expect.stringContaining('"until" is no time') as string,
  })
})

test("while the database is busy tasks wait, and say why; work that is begun is not broken off", async () => {
  await pipeline.query("INSERT INTO busy VALUES (1)")
  const requestId = await pipeline.publish("run-requests", { date: dates[1] })
  await vi.waitFor(async () => expect((await runOf(dates[1]))?.throttled).toBe("THROTTLE_QUERY says 1"), soon)
  const { run_id: runId = "" } = (await runOf(dates[1])) ?? {}
  // Both tasks look again, and none has done anything since.
  const other = await pipeline.connect()
  await other.query("LOCK TABLES busy WRITE")
  const listLooks = () =>
    pipeline.query(`SELECT id FROM information_schema.processlist
      WHERE db = DATABASE() AND info = 'SELECT COUNT(*) FROM busy'`)
  await vi.waitFor(async () => expect(await listLooks()).toHaveLength(2), soon)
  expect((await pipeline.shards(runId)).filter(({ state }) => state === "done")).toEqual([])
  await other.query("DELETE FROM busy")
  await other.end()
  expect(await pipeline.awaitVerdict(requestId)).toMatchObject({ verdict: "complete", version: 2 })
  expect((await runOf(dates[1]))?.throttled).toBeNull()
  await pipeline.expectRevenue(dates[1])
})
