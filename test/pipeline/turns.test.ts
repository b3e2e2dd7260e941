import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

const dates = ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"]

let pipeline: Pipeline
beforeAll(async () => {
  pipeline = await startPipeline({ settings: { RUNS_MAX: "1" } })
  for (const date of dates) await pipeline.query(...purchasesOf(60, 3, date))
})
afterAll(() => pipeline?.stop())

const statesOf = (...states: string[]) =>
  pipeline.query<{ date: string; run_id: string }>(
    `SELECT CAST(revenue_date AS CHAR) AS date, run_id FROM runs WHERE state IN (${states.map((state) => `'${state}'`).join()})
     ORDER BY requested_at, run_id`,
  )

/** Holds the tasks of every run at their first manifest until it is let go. */
function holdTasks(): () => void {
  const released = Promise.withResolvers<void>()
  const remove = pipeline.cloud.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.includes("/shards/"),
    before: () => released.promise,
  })
  return () => {
    remove()
    released.resolve()
  }
}

const atWork = async (count: number) => {
  await vi.waitFor(async () => expect(await statesOf("running")).toHaveLength(count), { timeout: 20_000 })
  return (await statesOf("running"))[0]
}

test("of four dates asked for at once one is at work, the others wait in the ledger, and all of them come", async () => {
  let most = 0
  const watching = setInterval(() => {
    void statesOf("planning", "running").then((runs) => (most = Math.max(most, runs.length)))
  }, 10)
  const ids = await Promise.all(dates.map((date) => pipeline.publish("run-requests", { date })))
  const verdicts = await Promise.all(ids.map((id) => pipeline.awaitVerdict(id)))
  clearInterval(watching)
  expect(verdicts.map(({ verdict }) => verdict)).toEqual(dates.map(() => "complete"))
  expect(most).toBe(1)
  for (const date of dates) expect(await pipeline.expectRevenue(date)).toBeGreaterThan(50)
})

test("a run that is cancelled while it is computed, or waits, has its verdict in seconds; its date is free", async () => {
  const [first = "", second = ""] = dates
  const release = holdTasks()
  await pipeline.publish("run-requests", { date: first })
  const running = await atWork(1)
  await pipeline.publish("run-requests", { date: second })
  await vi.waitFor(async () => expect(await statesOf("waiting")).toHaveLength(1), { timeout: 10_000 })
  const cancel = (of: unknown) => pipeline.publish("cancel-requests", of, { askedBy: "Ada", note: "a restore" })

  const startedAt = performance.now()
  const waiting = await pipeline.awaitVerdict(await cancel({ date: second }))
  expect(waiting).toMatchObject({ verdict: "cancelled", date: second, askedBy: "Ada", note: "a restore" })
  const computed = await pipeline.awaitVerdict(await cancel({ runId: running?.run_id }))
  expect(computed).toMatchObject({
    verdict: "cancelled",
    runId: running?.run_id,
    reason: "cancelled while it was running by Ada: a restore",
  })
  expect(performance.now() - startedAt).toBeLessThan(10_000)
  release()
  await vi.waitFor(() => expect(pipeline.cloud.runJobs.tasks()).toEqual([]), { timeout: 10_000 })
  // Readers see what they saw, and nothing comes of the run any more.
  expect(await pipeline.query("SELECT version FROM published_days WHERE version > 1")).toEqual([])
  const shards = await pipeline.shards(running?.run_id ?? "")
  expect(shards.filter(({ state }) => state === "offered" || state === "claimed")).toEqual([])

  expect(await pipeline.start(first)).toMatchObject({ verdict: "complete", version: 3 })
  await pipeline.expectRevenue(first)
  const again = await pipeline.awaitVerdict(await cancel({ runId: running?.run_id }))
  expect(again).toMatchObject({ verdict: "rejected", reason: expect.stringContaining("is cancelled") as string })
  expect(await pipeline.rerun({ runId: running?.run_id })).toMatchObject({
    verdict: "rejected",
    reason: expect.stringContaining("was cancelled: to compute the date") as string,
  })
})

test("a rerun waits for its turn, too", async () => {
  const [date = "", other = ""] = dates
  const release = holdTasks()
  // A run whose tasks have all been lost is incomplete.
  const requestId = await pipeline.publish("run-requests", { date })
  const running = await atWork(1)
  await pipeline.query(
    `UPDATE shards SET state = 'failed', error = 'lost' WHERE run_id = '${running?.run_id}' AND shard_index = 0`,
  )
  release()
  const incomplete = await pipeline.awaitVerdict(requestId)
  expect(incomplete).toMatchObject({ verdict: "incomplete" })
  const hold = holdTasks()
  const otherId = await pipeline.publish("run-requests", { date: other })
  await atWork(1)
  const rerunId = await pipeline.publish("rerun-requests", JSON.parse(incomplete.retry?.data ?? "") as unknown)
  await vi.waitFor(async () => expect(await statesOf("waiting")).toHaveLength(1), { timeout: 10_000 })
  hold()
  expect(await pipeline.awaitVerdict(otherId)).toMatchObject({ verdict: "complete" })
  expect(await pipeline.awaitVerdict(rerunId)).toMatchObject({ verdict: "complete", dispatch: 1 })
  await pipeline.expectRevenue(date)
})
