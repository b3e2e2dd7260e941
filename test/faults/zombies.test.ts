import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Call, InjectedError } from "../../services/emulators/faults.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { type FrozenTask, freezeTaskAfter, startNextAttempt } from "./frozen-task.ts"
import type { SentVerdict } from "./invariants.ts"
import { date, expectSound, startTwoDays } from "./two-days.ts"

let cloud: FaultCloud

beforeAll(async () => {
  cloud = await startTwoDays({ maxRetries: 4, taskTimeoutSeconds: 4 })
})
afterAll(() => cloud.stop())

const play = (name: string, steps: () => Promise<void>) => expectSound(cloud, "zombie", name, steps)

const statement = (pattern: RegExp) => (call: Call) => call.server === "database" && pattern.test(String(call.request))

/** Where a task stands when it is frozen. */
const places: [string, (call: Call) => boolean][] = [
  ["with a claim and no transaction", statement(/LAST_INSERT_ID/)],
  ["before its commit, with its rows written", statement(/^update `shards` set `state` = 'done'/)],
  ["after its commit, before its manifest", statement(/^commit/)],
  ["after its manifest, before its report", ({ method }) => method === "storage.objects.insert"],
]

/** The end of a frozen session as the server makes it when `wait_timeout` is over, without the 20 s of waiting. */
async function endIdleSessions(): Promise<void> {
  const sessions = await cloud.query<{ id: number }>(
    "SELECT trx_mysql_thread_id AS id FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> CONNECTION_ID()",
  )
  for (const { id } of sessions) await cloud.query(`KILL ${id}`).catch(() => undefined)
}

/** All that is fenced. A report may come late under the very epoch that has committed: it says what is known. */
async function readWritten(): Promise<string> {
  const shards = await cloud.query("SELECT * FROM shards ORDER BY run_id, shard_index")
  const rows = await cloud.query("SELECT * FROM revenue_versions ORDER BY revenue_date, version, user_id")
  return JSON.stringify([shards.map((shard) => ({ ...shard, reported_at: undefined })), rows])
}

/** The manifests by their paths. One may come late, of a commit that nothing superseded; none may be replaced. */
async function readManifests(): Promise<Map<string, string>> {
  const folder = join(cloud.folder, "bucket", "daybook", "runs", date)
  const paths = (await readdir(folder, { recursive: true })).filter((path) => /shards.\d+\.json$/.test(path))
  return new Map(
    await Promise.all(paths.map(async (path) => [path, await readFile(join(folder, path), "utf8")] as const)),
  )
}

/** Lets a task go on that has been superseded, and looks at what it does. */
async function thawHarmless(zombie: FrozenTask): Promise<void> {
  const [written, manifests] = [await readWritten(), await readManifests()]
  await zombie.thaw()
  expect(await readWritten()).toBe(written)
  const now = await readManifests()
  for (const [path, text] of manifests) expect(now.get(path)).toBe(text)
}

describe.each(places)("a task frozen %s", (place, matches) => {
  test("and superseded by its next attempt writes nothing when it goes on", async () => {
    await play(`superseded by its next attempt, ${place}`, async () => {
      const { frozen } = freezeTaskAfter(cloud, matches)
      const requestId = await cloud.publish("run-requests", { date })
      const zombie = await frozen
      await endIdleSessions()
      expect(await startNextAttempt(cloud, zombie.env)).toBe(0)
      expect(await cloud.awaitVerdict(requestId)).toMatchObject({ verdict: "complete" })
      await thawHarmless(zombie)
    })
  })

  test("and superseded by a rerun, and then by a newer run, writes nothing when it goes on", async () => {
    for (const isNewerRun of [false, true]) {
      await play(`superseded by a ${isNewerRun ? "newer run" : "rerun"}, ${place}`, async () => {
        const { frozen } = freezeTaskAfter(cloud, matches)
        const requestId = await cloud.publish("run-requests", { date })
        const zombie = await frozen
        await endIdleSessions()
        const verdict = await loseExecution(requestId)
        const next = isNewerRun ? cloud.start(date) : cloud.retry(verdict)
        expect(await next).toMatchObject({ verdict: "complete" })
        await cloud.waitFor("the announcement", () =>
          cloud.query("SELECT 1 FROM runs WHERE announced_at IS NULL").then((open) => open.length === 0 || undefined),
        )
        await thawHarmless(zombie)
      })
    }
  })
})

test("a task that goes on while its next attempt is at work with its shard does not write it", async () => {
  await play("two attempts at work with one shard", async () => {
    // The task would be done with what is left, and the sweep would close the run.
    const resumeSweeps = cloud.pauseSweeps()
    const isClaim = statement(/^\s*update `shards`\s+set [^]*LAST_INSERT_ID/i)
    const { frozen } = freezeTaskAfter(cloud, isClaim)
    const requestId = await cloud.publish("run-requests", { date })
    const zombie = await frozen
    const held = Promise.withResolvers<void>()
    let isHeld = false
    const remove = cloud.proxy.faults.add({
      matches: (call) => isClaim(call) && cloud.recorder.callerOf(call)?.pid !== zombie.pid,
      after: () => {
        isHeld = true
        return held.promise
      },
    })
    const next = startNextAttempt(cloud, zombie.env)
    await cloud.waitFor("the next attempt's claim", () => isHeld || undefined)
    const readShard = () => cloud.query("SELECT * FROM shards WHERE run_id LIKE ? AND attempt = 1", [`${date}-%`])
    try {
      const before = JSON.stringify(await readShard())
      expect(before).toContain('"state":"claimed"')
      await zombie.thaw()
      expect(JSON.stringify(await readShard())).toBe(before)
    } finally {
      held.resolve()
      remove()
      expect(await next).toBe(0)
      resumeSweeps()
    }
    expect(await cloud.awaitVerdict(requestId)).toMatchObject({ verdict: "complete" })
  })
})

/** Cloud Run does not know an execution any more, while one of its tasks is frozen somewhere: the sweep ends the run. */
async function loseExecution(requestId: string): Promise<SentVerdict> {
  const remove = cloud.cloud.runJobs.faults.add({
    matches: ({ method }) => method === "GetExecution",
    before: () => {
      throw new InjectedError("NOT_FOUND", "injected: it is gone")
    },
  })
  try {
    const verdict = await cloud.awaitVerdict(requestId)
    expect(verdict).toMatchObject({ verdict: "incomplete" })
    return verdict
  } finally {
    remove()
  }
}

test("a task that is frozen in its transaction keeps nobody waiting longer than its session may be idle", async () => {
  await play("a frozen transaction ends by itself", async () => {
    const { frozen } = freezeTaskAfter(cloud, statement(/^update `shards` set `state` = 'done'/))
    const requestId = await cloud.publish("run-requests", { date })
    const zombie = await frozen
    const startedAt = Date.now()
    expect(await startNextAttempt(cloud, zombie.env)).toBe(0)
    expect(Date.now() - startedAt).toBeLessThan(30_000)
    expect(await cloud.awaitVerdict(requestId)).toMatchObject({ verdict: "complete" })
    await zombie.thaw()
  })
})

/** What a bad shard does to its task each time it is computed. */
const troubles: [string, (pid: number) => Promise<void>][] = [
  ["crashes its task", async (pid) => void process.kill(pid, "SIGSEGV")],
  ["runs its task out of memory", async (pid) => void process.kill(pid, "SIGKILL")],
  // Until Cloud Run ends it.
  [
    "hangs past the task's timeout",
    async (pid) => void (await cloud.waitFor("the timeout", () => (isRunning(pid) ? undefined : true))),
  ],
]

const isRunning = (pid: number) => cloud.cloud.runJobs.tasks().some((task) => task.pid === pid)

test.each(troubles)(
  "a shard that %s every time is named, the others finish, and a rerun completes the day",
  async (trouble, harm) => {
    await play(`a shard that ${trouble}`, async () => {
      // Shard 1 begins at user 28.
      const remove = cloud.proxy.faults.add({
        matches: statement(/^\s*INSERT INTO `revenue_versions`[^]*`user_id` >= '?28/),
        before: async (call) => {
          const caller = cloud.recorder.callerOf(call)
          if (caller) await harm(caller.pid)
          throw new InjectedError("ABORTED", "the task is gone")
        },
      })
      const verdict = await cloud.start(date)
      expect(verdict).toMatchObject({ verdict: "incomplete", failed: [1], missing: [], corrupt: [], drifted: [] })
      remove()
      await cloud.waitUntilIdle()
      expect(await cloud.retry(verdict)).toMatchObject({ verdict: "complete", dispatch: 1 })
    })
  },
)
