import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { topics } from "../../shared/messages/topics.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

let pipeline: Pipeline

beforeAll(async () => {
  pipeline = await startPipeline({ settings: { KEEP_VERSIONS: "1" } })
  await pipeline.query(...purchasesOf(200, 5))
  await pipeline.query(...purchasesOf(30, 2, "2026-11-21"))
  // Ids at both ends of what a BIGINT holds.
  await pipeline.query(`INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES
    (-9223372036854775808, 5, '${date} 00:00:00'), (9223372036854775807, 7, '${date} 23:59:59'), (-1, 1, '${date} 12:00:00')`)
})
afterAll(() => pipeline.stop())

describe("a date published to the topic", () => {
  test("becomes a verified day of Revenue, by more shards than tasks, with its evidence in the bucket", async () => {
    const verdict = await pipeline.start()
    expect(verdict).toMatchObject({ verdict: "complete", date, version: 1, dispatch: 0, missing: [], failed: [] })
    const rows = await pipeline.expectRevenue()
    expect(verdict.rows).toBe(BigInt(rows))
    expect(verdict.guestPurchases).toBe(25n)
    const runId = verdict.runId ?? ""
    const document = await pipeline.readVerdict(runId)
    expect(document.source?.purchases).toBe(verdict.purchases)
    expect(document.shards).toBeGreaterThan(10)
    expect(verdict.document).toBe(`gs://daybook/runs/${date}/${runId}/verdict.json`)
    const shards = await pipeline.shards(runId)
    expect(new Set(shards.map((shard) => shard.state))).toEqual(new Set(["done"]))
    expect(new Set(shards.map((shard) => shard.taskIndex))).toEqual(new Set([0, 1]))
    expect(pipeline.subscriptions()).not.toContain(`run-${runId}`)
  })

  test("is seen by readers as it was until it is run again, and other dates are untouched", async () => {
    await pipeline.query(
      `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (1, 1000, '${date} 01:00:00')`,
    )
    await expect(pipeline.expectRevenue()).rejects.toThrow("deeply equal")
    expect(await pipeline.start()).toMatchObject({ verdict: "complete", version: 2 })
    await pipeline.expectRevenue()
    expect(await pipeline.query("SELECT * FROM revenue WHERE revenue_date = '2026-11-21'")).toEqual([])
    expect(await pipeline.start("2026-11-21")).toMatchObject({ verdict: "complete", version: 1 })
    await pipeline.expectRevenue("2026-11-21")
    await pipeline.expectRevenue()
  })

  test("without purchases is a complete day of no rows", async () => {
    const verdict = await pipeline.start("2026-10-01")
    expect(verdict).toMatchObject({ verdict: "complete", rows: 0n, purchases: 0n, amountCents: "0", shards: 1 })
    expect(await pipeline.expectRevenue("2026-10-01")).toBe(0)
  })

  test("while its run is going is rejected with the id of that run", async () => {
    const [first, second] = await Promise.all([
      pipeline.publish(topics.runRequests, { date }),
      pipeline.publish(topics.runRequests, { date }),
    ])
    const verdicts = await Promise.all([pipeline.awaitVerdict(first), pipeline.awaitVerdict(second)])
    const complete = verdicts.find((verdict) => verdict.verdict === "complete")
    const rejected = verdicts.find((verdict) => verdict.verdict === "rejected")
    expect(rejected?.reason).toContain(`run ${complete?.runId} of ${date} is unfinished`)
  })
})

test("a message that does not fit the topic's schema is refused when it is published", async () => {
  await expect(pipeline.publish(topics.runRequests, { day: date })).rejects.toThrow(/INVALID_ARGUMENT/)
})

test("rows of versions that are no longer shown are deleted, and the shown one stays", async () => {
  await expect
    .poll(
      async () => {
        const rows = await pipeline.query<{ version: number }>(
          `SELECT DISTINCT version FROM revenue_versions WHERE revenue_date = '${date}'`,
        )
        return rows.map((row) => row.version)
      },
      { timeout: 20_000 },
    )
    .toHaveLength(1)
  await pipeline.expectRevenue()
})

test("nothing in any log is an error, an unhandled rejection or the password", async () => {
  const logs = await pipeline.readLogs()
  expect(logs).toContain("a run has its verdict")
  expect(logs).not.toMatch(/"severity":"(ERROR|CRITICAL)"/)
  expect(logs).not.toMatch(/unhandled|Uncaught/i)
})
