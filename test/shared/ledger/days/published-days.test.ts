import { expect, test } from "vitest"
import { closeRun } from "../../../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../../../shared/ledger/runs/decide-run.ts"
import { findRun, type Run } from "../../../../shared/ledger/runs/find-runs.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"
import { beginRun, cutAt } from "../../../fixtures/test-run.ts"

const database = useTestDatabase()

async function finishRun(revenueDate: string, requestId: string): Promise<Run> {
  const run = await beginRun(database.db, cutAt(), { revenueDate, requestId, runId: `${revenueDate}-${requestId}` })
  await closeRun(database.db, run)
  return (await findRun(database.db, run.runId)) as Run
}

const published = async (date: string) =>
  (
    await database.query(
      `SELECT version, run_id AS runId, published_at AS publishedAt FROM published_days WHERE revenue_date = '${date}'`,
    )
  )[0]

test("a newer version takes the day over with its run and its time", async () => {
  const date = "2026-11-01"
  await decideRun(database.db, await finishRun(date, "1"), { state: "complete", verdict: "{}" })
  await database.query("UPDATE published_days SET published_at = '2026-11-02 00:00:00'")
  await decideRun(database.db, await finishRun(date, "2"), { state: "complete", verdict: "{}" })
  const day = await published(date)
  expect(day).toMatchObject({ version: 2, runId: `${date}-2` })
  expect(String(day?.["publishedAt"])).not.toContain("2026-11-02")
})

test("an older version that becomes complete late leaves the day to the newer one", async () => {
  const date = "2026-11-02"
  const older = await finishRun(date, "1")
  // The date is free for the next run as soon as the older one has a verdict.
  await decideRun(database.db, older, { state: "incomplete", verdict: "{}" })
  await decideRun(database.db, await finishRun(date, "2"), { state: "complete", verdict: "{}" })
  const before = await published(date)
  await database.query(`UPDATE runs SET state = 'verifying' WHERE run_id = '${older.runId}'`)
  await decideRun(database.db, older, { state: "complete", verdict: "{}" })
  expect(await published(date)).toEqual(before)
})
