import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest"
import type { Shard } from "../../shared/ledger/shards/find-shards.ts"
import { topics } from "../../shared/messages/topics.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

let pipeline: Pipeline

beforeAll(async () => {
  pipeline = await startPipeline({ maxRetries: 2 })
})
afterAll(() => pipeline.stop())

/** Each test has a date of its own in one shop. */
async function fill(of: string): Promise<void> {
  await pipeline.query(...purchasesOf(40, 5, of))
}

/** Holds a lock in the way of a date's first version, so that the task that computes the first shard has to wait. */
async function holdUp(of: string, userId = 1) {
  const connection = await pipeline.connect()
  await connection.beginTransaction()
  await connection.query("INSERT INTO revenue_versions VALUES (?, 1, ?, 0, 0)", [of, userId])
  const release = async () => {
    await connection.rollback()
    await connection.end()
  }
  // A test that fails must not keep the others waiting for its lock.
  onTestFinished(() => release().catch(() => undefined))
  return release
}

/** Sends a signal to the very task that holds a claim: tasks of an earlier run may still be ending. */
function signalClaimant(claim: Shard, signal: NodeJS.Signals): void {
  const { runJobs } = pipeline.cloud
  const task = runJobs
    .tasks()
    .find(({ execution, taskIndex }) => taskIndex === claim.taskIndex && execution.endsWith(`/${claim.execution}`))
  expect(runJobs.killTask(task?.execution ?? "", claim.taskIndex ?? -1, signal)).toBe(true)
}

const runIdOf = (messageId: string, of: string) => `${of}-${messageId}`

async function awaitClaim(runId: string, index: number) {
  return vi.waitFor(
    async () => {
      const shard = (await pipeline.shards(runId)).find((row) => row.shardIndex === index)
      if (shard?.state !== "claimed") throw new Error(`shard ${index} is ${shard?.state}`)
      return shard
    },
    { timeout: 20_000, interval: 20 },
  )
}

test("a task that is killed at work is tried again by Cloud Run, and its next attempt takes its shard up", async () => {
  await fill(date)
  const release = await holdUp(date)
  const messageId = await pipeline.publish(topics.runRequests, { date })
  const claimed = await awaitClaim(runIdOf(messageId, date), 0)
  signalClaimant(claimed, "SIGKILL")
  await release()
  expect(await pipeline.awaitVerdict(messageId)).toMatchObject({ verdict: "complete" })
  await pipeline.expectRevenue()
  const [shard] = await pipeline.shards(runIdOf(messageId, date))
  expect(shard).toMatchObject({ state: "done", crashes: 1, attempt: 1, taskIndex: claimed.taskIndex })
})

test("a task that is told to stop rolls back and exits non-zero, and its next attempt goes on", async () => {
  const of = "2026-11-20"
  await fill(of)
  const release = await holdUp(of)
  const messageId = await pipeline.publish(topics.runRequests, { date: of })
  const claimed = await awaitClaim(runIdOf(messageId, of), 0)
  const ends: unknown[] = []
  const unlisten = pipeline.cloud.runJobs.onAttempt((event) => {
    // The other task of the execution may have done all the other shards, and ended well, before this one.
    const isClaimant = event.execution.endsWith(`/${claimed.execution}`) && event.taskIndex === claimed.taskIndex
    if (event.type === "ended" && isClaimant) ends.push(event.result)
  })
  signalClaimant(claimed, "SIGTERM")
  await vi.waitFor(() => expect(ends.length).toBeGreaterThan(0), { timeout: 20_000 })
  expect(ends[0]).toMatchObject({ exitCode: 143 })
  unlisten()
  await release()
  expect(await pipeline.awaitVerdict(messageId)).toMatchObject({ verdict: "complete" })
  await pipeline.expectRevenue(of)
})

test("a shard that cannot be computed is named with its reason, readers see nothing, and one message mends it", async () => {
  const of = "2026-11-19"
  await fill(of)
  await pipeline.query(
    `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (71, 9223372036854775807, '${of} 10:00:00')`,
  )
  const verdict = await pipeline.start(of)
  expect(verdict).toMatchObject({ verdict: "incomplete", missing: [], corrupt: [], drifted: [] })
  expect(verdict.failed).toHaveLength(1)
  expect(verdict.reason).toMatch(
    /1 failed; first: shard \d+: .*user 71 spent 92233720368547\d+ in \d+ purchases, which does not fit into 64 bits/,
  )
  expect(verdict.retry).toEqual(expect.objectContaining({ topic: topics.rerunRequests }))
  expect(await pipeline.query(`SELECT * FROM revenue WHERE revenue_date = '${of}'`)).toEqual([])

  await pipeline.query(`DELETE FROM purchases WHERE amount_cents = 9223372036854775807`)
  const mended = await pipeline.rerun(JSON.parse(verdict.retry?.data ?? ""))
  expect(mended).toMatchObject({ verdict: "complete", runId: verdict.runId, dispatch: 1, version: 1 })
  await pipeline.expectRevenue(of)
  const shards = await pipeline.shards(verdict.runId ?? "")
  expect(shards.filter((shard) => shard.dispatch === 1).map((shard) => shard.shardIndex)).toEqual(verdict.failed)
})

test("purchases that come while the run goes are told as drift of their shard, and a rerun takes them in", async () => {
  const of = "2026-11-18"
  await fill(of)
  const removeFault = pipeline.cloud.storage.faults.add({
    matches: ({ method, resource }) =>
      method === "storage.objects.insert" && resource.includes(of) && resource.endsWith("/shards/1.json"),
    before: async () => {
      removeFault()
      await pipeline.query(`INSERT INTO purchases (user_id, amount_cents, purchased_at)
        SELECT user_id, 99, '${of} 23:00:00' FROM purchases WHERE purchased_on = '${of}' AND user_id >= 80 LIMIT 1`)
    },
  })
  const verdict = await pipeline.start(of)
  expect(verdict).toMatchObject({ verdict: "incomplete", missing: [], corrupt: [], failed: [] })
  expect(verdict.drifted).toHaveLength(1)
  const mended = await pipeline.rerun({ date: of })
  expect(mended).toMatchObject({ verdict: "complete", dispatch: 1 })
  await pipeline.expectRevenue(of)
})

test("an execution whose tasks all die in silence is noticed by the sweep, and a rerun completes the day", async () => {
  const of = "2026-11-17"
  await fill(of)
  const unlisten = pipeline.cloud.runJobs.onAttempt((event) => {
    if (event.type === "started") pipeline.cloud.runJobs.killTask(event.execution, event.taskIndex, "SIGKILL")
  })
  const verdict = await pipeline.start(of)
  unlisten()
  expect(verdict).toMatchObject({ verdict: "incomplete", failed: [], corrupt: [], drifted: [] })
  expect(verdict.missing.length).toBe(verdict.shards)
  expect(await pipeline.rerun({ runId: verdict.runId })).toMatchObject({ verdict: "complete", dispatch: 1 })
  await pipeline.expectRevenue(of)
})

test("planner and finalizer that are killed in the middle are started again and the run goes on", async () => {
  const of = "2026-11-16"
  await fill(of)
  const kill = { planner: false, finalizer: false }
  const remove = pipeline.cloud.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.includes(of),
    before: ({ resource }) => {
      if (resource.endsWith("/plan.json") && !kill.planner) {
        kill.planner = true
        pipeline.cloud.services.planner.kill()
      }
      if (resource.endsWith("/verdict.json") && !kill.finalizer) {
        kill.finalizer = true
        pipeline.cloud.services.finalizer.kill()
      }
    },
  })
  expect(await pipeline.start(of)).toMatchObject({ verdict: "complete" })
  remove()
  expect(kill).toEqual({ planner: true, finalizer: true })
  await pipeline.expectRevenue(of)
})

test("a shard that kills its task every time is given up, named, and the others are finished", async () => {
  const of = "2026-11-15"
  await fill(of)
  const release = await holdUp(of)
  const messageId = await pipeline.publish(topics.runRequests, { date: of })
  const runId = runIdOf(messageId, of)
  for (let attempt = 0; attempt < 3; attempt++) {
    const claimed = await vi.waitFor(
      async () => {
        const shard = await awaitClaim(runId, 0)
        if (shard.attempt !== attempt) throw new Error(`attempt ${shard.attempt}`)
        return shard
      },
      // The database gives a dead task's locks free when its statement has waited its 5 s.
      { timeout: 40_000, interval: 20 },
    )
    signalClaimant(claimed, "SIGKILL")
  }
  const verdict = await pipeline.awaitVerdict(messageId)
  await release()
  // Here the retries of the task are used up first; with more of them the shard is marked failed.
  expect(verdict.verdict).toBe("incomplete")
  expect([...verdict.missing, ...verdict.failed]).toEqual([0])
  expect(await pipeline.rerun({ runId })).toMatchObject({ verdict: "complete" })
  await pipeline.expectRevenue(of)
}, 180_000)
