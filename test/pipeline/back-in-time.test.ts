import { afterAll, beforeAll, expect, test } from "vitest"
import { topics } from "../../shared/messages/topics.ts"
import { listOwnTables, restoreSnapshot, takeSnapshot } from "../fixtures/database-snapshot.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

/* A database that is restored, or fails over to a replica that had not got everything: the bucket knows of more. */

let pipeline: Pipeline
beforeAll(async () => {
  pipeline = await startPipeline()
})
afterAll(() => pipeline.stop())

/** Takes a backup of Daybook's tables; the function that it returns restores it. */
async function backUp(): Promise<() => Promise<void>> {
  const connection = await pipeline.connect()
  const snapshot = await takeSnapshot(connection, await listOwnTables(connection))
  return async () => {
    await restoreSnapshot(connection, snapshot)
    await connection.end()
  }
}

const spoil = (of: string) =>
  pipeline.query(
    ...purchasesOf(40, 5, of),
    ...[1, 2].map(
      () =>
        `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (8, 9223372036854775807, '${of} 10:00:00')`,
    ),
  )
const mend = (of: string) => pipeline.query(`DELETE FROM purchases WHERE user_id = 8 AND DATE(purchased_at) = '${of}'`)

test("before a rerun that completed: the rerun is asked for again and ends in a verdict, announced and readable", async () => {
  await spoil(date)
  const first = await pipeline.start()
  const runId = first.runId ?? ""
  expect(first).toMatchObject({ verdict: "incomplete" })
  const restore = await backUp()
  await mend(date)
  expect(await pipeline.rerun({ runId })).toMatchObject({ verdict: "complete", dispatch: 1 })
  await pipeline.expectRevenue()

  await restore()
  expect(await pipeline.query("SELECT * FROM revenue")).toEqual([])
  expect(await pipeline.run(runId)).toMatchObject({ state: "incomplete", dispatch: 0 })
  await pipeline.query(...purchasesOf(3, 1))
  const again = await pipeline.rerun({
    runId,
    shards: (await pipeline.shards(runId)).map(({ shardIndex }) => shardIndex),
  })
  expect(again).toMatchObject({ verdict: "complete", dispatch: 1 })
  expect(await pipeline.readVerdict(runId)).toMatchObject({ verdict: "complete", decidedAt: again.decidedAt })
  await pipeline.expectRevenue()
})

test("into the middle of a run that completed: the sweep ends it with a verdict, over the one in the bucket, and a rerun mends it", async () => {
  const of = "2026-11-20"
  await pipeline.query(...purchasesOf(40, 5, of))
  // Before the last shard is committed.
  const blocker = await pipeline.connect()
  await blocker.beginTransaction()
  await blocker.query("INSERT INTO revenue_versions VALUES (?, 1, 1, 0, 0)", [of])
  const messageId = await pipeline.publish(topics.runRequests, { date: of })
  const runId = `${of}-${messageId}`
  const isRunning = async () => (await pipeline.run(runId))?.state === "running"
  await expect.poll(isRunning, { timeout: 20_000 }).toBe(true)
  const restore = await backUp()
  await blocker.rollback()
  await blocker.end()
  expect(await pipeline.awaitVerdict(messageId)).toMatchObject({ verdict: "complete" })
  // Its last write: it must not come after the restore.
  await expect.poll(async () => (await pipeline.run(runId))?.announcedAt ?? null, { timeout: 10_000 }).not.toBeNull()

  await restore()
  await expect.poll(async () => (await pipeline.run(runId))?.announcedAt ?? null, { timeout: 30_000 }).not.toBeNull()
  const verdict = await pipeline.readVerdict(runId)
  expect(verdict).toMatchObject({ verdict: "incomplete", dispatch: 0 })
  expect(await pipeline.query(`SELECT * FROM revenue WHERE revenue_date = '${of}'`)).toEqual([])
  expect(await pipeline.rerun({ runId })).toMatchObject({ verdict: "complete", dispatch: 1 })
  await pipeline.expectRevenue(of)
})

test("to before a run that completed: the date is started anew", async () => {
  const of = "2026-11-19"
  await pipeline.query(...purchasesOf(20, 5, of))
  const restore = await backUp()
  expect(await pipeline.start(of)).toMatchObject({ verdict: "complete", version: 1 })
  await restore()
  expect(await pipeline.start(of)).toMatchObject({ verdict: "complete", version: 1 })
  await pipeline.expectRevenue(of)
})
