import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { changesPath } from "../../shared/documents/document-paths.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

let pipeline: Pipeline

beforeAll(async () => {
  pipeline = await startPipeline({ sweepSeconds: 0 })
  await pipeline.query(...purchasesOf(60, 4))
})
afterAll(() => pipeline.stop())

const readChanges = async (runId = "") =>
  (await readFile(join(pipeline.cloud.folder, "bucket", "daybook", changesPath(runId)), "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown)

const rowsOf = async (version: number) =>
  (await pipeline.query(`SELECT 1 FROM revenue_versions WHERE revenue_date = '${date}' AND version = ${version}`))
    .length

test("a version says what it changes of the one before, in verdict, message and a document with every user", async () => {
  const first = await pipeline.start()
  expect(first.changes).toBeUndefined()
  const at = `'${date} 12:00:00'`
  await pipeline.query(
    "DELETE FROM purchases WHERE user_id = 8",
    `UPDATE purchases SET amount_cents = amount_cents + 1 WHERE user_id = 15 LIMIT 1`,
    `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (-5, 9223372036854775807, ${at}), (NULL, 3, ${at})`,
  )
  const second = await pipeline.start()
  await pipeline.expectRevenue()
  expect(second).toMatchObject({ verdict: "complete", version: 2 })
  expect(second.changes).toMatchObject({ fromVersion: 1, added: 1n, changed: 1n, removed: 1n })
  expect(second.changes?.amountCentsBefore).toBe(first.amountCents)
  expect(second.changes?.amountCentsAfter).toBe(second.amountCents)
  expect(second.changes?.largest.map(({ userId }) => userId)).toEqual([-5n, 8n, 15n])
  expect(second.changes?.document).toBe(`gs://daybook/${changesPath(second.runId ?? "")}`)
  const added = { userId: "-5", before: null, after: { amountCents: "9223372036854775807", purchases: "1" } }
  expect(await readChanges(second.runId)).toEqual([
    added,
    { userId: "8", before: expect.anything() as unknown, after: null },
    { userId: "15", before: expect.anything() as unknown, after: expect.anything() as unknown },
  ])
  expect((await pipeline.readVerdict(second.runId ?? "")).changes?.largest[0]).toMatchObject({ userId: "-5" })

  const third = await pipeline.start()
  expect(third.changes).toMatchObject({ fromVersion: 2, added: 0n, changed: 0n, removed: 0n, largest: [] })
  expect(third.changes?.document).toBeUndefined()
})

test("the two newest versions of a date keep their rows, and the sweep deletes those before", async () => {
  expect(await rowsOf(1)).toBeGreaterThan(0)
  await pipeline.cloud.sweep()
  await vi.waitFor(async () => expect(await rowsOf(1)).toBe(0))
  expect(await rowsOf(2)).toBe(await rowsOf(3))
  await pipeline.expectRevenue()
})
