import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { InjectedError } from "../../services/emulators/faults.ts"
import { runFolder } from "../../shared/documents/document-paths.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

/* A bucket with a retention policy: what is there can be neither replaced nor deleted. */

let pipeline: Pipeline
beforeAll(async () => {
  pipeline = await startPipeline()
  const written = new Set<string>()
  pipeline.cloud.storage.faults.add({
    matches: ({ method }) => method === "storage.objects.insert" || method === "storage.objects.delete",
    before: ({ resource }) => {
      if (written.has(resource))
        throw new InjectedError("PERMISSION_DENIED", "the object is subject to a retention policy")
    },
    after: ({ resource }) => void written.add(resource),
  })
})
afterAll(() => pipeline.stop())

test("a run that had a failed shard is computed again, proven and announced; what was written first stays beside it", async () => {
  await pipeline.query(...purchasesOf(40, 5))
  // A sum that fits no BIGINT.
  const much = `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (3, 9223372036854775807, '${date} 10:00:00')`
  await pipeline.query(much, much)
  const first = await pipeline.start()
  expect(first).toMatchObject({ verdict: "incomplete" })
  expect(first.document).toMatch(/\/verdict\.json$/)

  await pipeline.query("DELETE FROM purchases WHERE user_id = 3")
  const second = await pipeline.rerun({ runId: first.runId })
  expect(second).toMatchObject({ verdict: "complete", dispatch: 1 })
  expect(second.document).toMatch(/\/verdict-1-complete\.json$/)
  await pipeline.expectRevenue()

  // All of it again, over manifests that are there and right.
  await pipeline.query(...purchasesOf(5, 1))
  const other = await pipeline.start()
  expect(other).toMatchObject({ verdict: "complete", version: 2 })
  const shards = (await pipeline.shards(first.runId ?? "")).filter(({ dispatch }) => dispatch === 1)
  const folder = join(pipeline.cloud.folder, "bucket", "daybook", runFolder(first.runId ?? ""))
  const manifests = await readdir(join(folder, "shards"))
  expect(shards.length).toBeGreaterThan(0)
  for (const { shardIndex } of shards) expect(manifests.some((name) => name.startsWith(`${shardIndex}`))).toBe(true)
  expect(await readdir(folder)).toEqual(expect.arrayContaining(["verdict.json", "verdict-1-complete.json"]))
})

test("a shard that was done is computed again under a newer epoch, whose manifest is beside the older", async () => {
  const of = "2026-11-19"
  await pipeline.query(...purchasesOf(40, 5, of))
  // What was deleted since: the verdict finds the row missing, and asks for the shard again.
  let runId = ""
  const remove = pipeline.cloud.pubsub.faults.add({
    matches: ({ method, resource }) => method === "Publish" && resource.endsWith("/shard-reports"),
    before: async () => {
      await pipeline.query(`DELETE FROM revenue_versions WHERE revenue_date = '${of}' AND user_id = 1`)
    },
  })
  const first = await pipeline.start(of)
  remove()
  runId = first.runId ?? ""
  expect(first).toMatchObject({ verdict: "incomplete" })
  expect(await pipeline.rerun({ runId })).toMatchObject({ verdict: "complete" })
  const folder = join(pipeline.cloud.folder, "bucket", "daybook", runFolder(runId), "shards")
  const names = await readdir(folder)
  expect(names).toContain("0.json")
  expect(names.filter((name) => /^0-\d+\.json$/.test(name))).toHaveLength(1)
  await pipeline.expectRevenue(of)
})
