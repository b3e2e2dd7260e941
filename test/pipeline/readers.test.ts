import { afterAll, beforeAll, expect, test } from "vitest"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

let pipeline: Pipeline

beforeAll(async () => {
  pipeline = await startPipeline({ parallelism: 3 })
  await pipeline.query(...purchasesOf(100, 4))
})
afterAll(() => pipeline.stop())

test("a reader who queries all the time sees only the whole old day or the whole new one", async () => {
  const fingerprint = `SELECT COUNT(*) AS n, COALESCE(SUM(amount_cents), 0) AS amount, COALESCE(SUM(purchases), 0) AS purchases
    FROM revenue WHERE revenue_date = '${date}'`
  const look = async () => JSON.stringify((await pipeline.query(fingerprint))[0])
  const whole = new Set([await look()])
  const seen = new Set<string>()
  const reading = new AbortController()
  const reader = (async () => {
    while (!reading.signal.aborted) seen.add(await look())
  })()
  for (let version = 1; version <= 4; version++) {
    await pipeline.query(
      `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (${version}, ${version * 1000}, '${date} 10:00:00')`,
    )
    expect(await pipeline.start()).toMatchObject({ verdict: "complete", version })
    await pipeline.expectRevenue()
    whole.add(await look())
  }
  reading.abort()
  await reader
  expect(whole.size).toBe(5)
  expect([...seen].filter((state) => !whole.has(state))).toEqual([])
  expect(seen.size).toBeGreaterThan(1)
})
