import { afterAll, beforeAll, expect, test } from "vitest"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

let pipeline: Pipeline
beforeAll(async () => {
  pipeline = await startPipeline({ shardPurchases: 500 })
  await pipeline.query(...purchasesOf(1_200, 1))
})
afterAll(() => pipeline?.stop())

/** Four same weekdays before the date, that readers see, with so many users and such an amount. */
const remember = (users: number, amountCents: number) =>
  pipeline.query(
    "DELETE FROM published_days WHERE run_id = 'past'",
    `INSERT INTO published_days (revenue_date, version, run_id, published_at, row_count, purchases, amount_cents)
     SELECT '${date}' - INTERVAL d DAY, 1, 'past', NOW(), ${users}, ${users}, ${amountCents} + d
     FROM (SELECT 7 AS d UNION ALL SELECT 14 UNION ALL SELECT 21 UNION ALL SELECT 28) AS weeks`,
  )
const shown = async () => {
  const rows = await pipeline.query<{ version: number }>(
    `SELECT version FROM published_days WHERE revenue_date = '${date}'`,
  )
  return rows[0]?.version
}

test("a day like those before it, or with none before it, is shown", async () => {
  expect(await pipeline.start()).toMatchObject({ verdict: "complete", version: 1 })
  await remember(1_000, 150_000)
  expect(await pipeline.start()).toMatchObject({ verdict: "complete", version: 2 })
})

test("a day far from the same weekdays is held: told why, and readers see what they saw, until it is released", async () => {
  await remember(10_000, 10_000_000)
  const held = await pipeline.start()
  expect(held).toMatchObject({
    verdict: "held",
    version: 3,
    reason: expect.stringMatching(
      /^held by 2 checks, and not shown: same-weekday-amount: .*median.*; same-weekday-users: .* Release it/,
    ) as string,
  })
  expect(await shown()).toBe(2)
  const document = await pipeline.readVerdict(held.runId ?? "")
  expect(document.checks.map(({ name, severity }) => [name, severity])).toEqual([
    ["same-weekday-amount", "block"],
    ["same-weekday-users", "block"],
  ])
  expect(JSON.parse(document.checks[1]?.rows[0] ?? "")).toMatchObject({ users: expect.anything() as unknown })
  expect(await pipeline.rerun({ runId: held.runId })).toMatchObject({
    verdict: "rejected",
    reason: expect.stringContaining("is held by a check: release it") as string,
  })

  const release = () => pipeline.publish("release-requests", { date }, { askedBy: "Ada", note: "the big sale" })
  const released = await pipeline.awaitVerdict(await release())
  expect(released).toMatchObject({ verdict: "complete", version: 3, askedBy: "Ada", note: "the big sale" })
  expect(await shown()).toBe(3)
  expect((await pipeline.readVerdict(held.runId ?? "")).verdict).toBe("complete")
  await pipeline.expectRevenue()
  expect(await pipeline.awaitVerdict(await release())).toMatchObject({
    verdict: "rejected",
    reason: expect.stringContaining("only a day that is held is released") as string,
  })
})

test("a held day may be computed anew instead", async () => {
  expect(await pipeline.start()).toMatchObject({ verdict: "held", version: 4 })
  await remember(1_000, 150_000)
  expect(await pipeline.start()).toMatchObject({ verdict: "complete", version: 5 })
  const old = await pipeline.query<{ run_id: string }>(`SELECT run_id FROM runs WHERE version = 4`)
  const release = await pipeline.publish("release-requests", { runId: old[0]?.run_id })
  expect(await pipeline.awaitVerdict(release)).toMatchObject({
    verdict: "rejected",
    reason: expect.stringContaining("is the newest (version 5, complete)") as string,
  })
})

test("one user with more than half of the day is told, and the day is shown", async () => {
  await pipeline.query(
    `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (8, 400000, '${date} 10:00:00')`,
  )
  const verdict = await pipeline.start()
  expect(verdict).toMatchObject({ verdict: "complete" })
  const { checks } = await pipeline.readVerdict(verdict.runId ?? "")
  expect(checks).toMatchObject([{ name: "user-share", severity: "warn" }])
  expect(JSON.parse(checks[0]?.rows[0] ?? "")).toMatchObject({ user_id: "8" })
})

test("a day below nothing is held", async () => {
  await pipeline.query("UPDATE purchases SET amount_cents = -1000")
  expect(await pipeline.start()).toMatchObject({
    verdict: "held",
    reason: expect.stringContaining("negative-day: the day's amount is negative") as string,
  })
})
