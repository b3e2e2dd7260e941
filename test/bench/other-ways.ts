import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { date, type Room } from "./fixture.ts"
import type { PlainResult, PlainTask } from "./plain-task.ts"

const run = promisify(execFile)
const program = fileURLToPath(new URL("plain-task.ts", import.meta.url))
const INDEX = "purchases_day_slice"

/** The table that the other ways write: the same columns and key as Daybook's. */
export async function emptyRows(room: Room): Promise<void> {
  await room.query("CREATE TABLE IF NOT EXISTS bench_rows LIKE revenue_versions")
  await room.query("TRUNCATE TABLE bench_rows")
}

/** The limit for one connection, at READ COMMITTED: every session of this pool is. */
export async function runOneStatement(room: Room): Promise<number> {
  const startedAt = performance.now()
  await room.query(`INSERT INTO bench_rows SELECT '${date}', 1, user_id, SUM(amount_cents), COUNT(*)
    FROM purchases FORCE INDEX (${INDEX}) WHERE purchased_on = '${date}' AND user_id IS NOT NULL GROUP BY user_id`)
  return performance.now() - startedAt
}

/** One GROUP BY for each of n tasks, by index. */
export async function runGroupBy(room: Room, tasks: number): Promise<number> {
  const startedAt = performance.now()
  await runTasks(room, tasks, "group by", 0)
  return performance.now() - startedAt
}

/**
 * A query and an insert for each user, by n tasks. Each does a sample of its users; its time for them is multiplied to
 * all of them, and what is around the loop (the process, the list of users) is added as it was.
 */
export async function runEachUser(room: Room, tasks: number, sampleUsers: number): Promise<number> {
  const startedAt = performance.now()
  const results = await runTasks(room, tasks, "each user", sampleUsers)
  const aroundMs = performance.now() - startedAt - Math.max(...results.map((result) => result.loopMs))
  return aroundMs + Math.max(...results.map(({ users, sampled, loopMs }) => (loopMs * users) / Math.max(1, sampled)))
}

/**
 * Slices of equally many users. Equally wide ones, which is what a division of the ids gives, would be worse: ids have
 * gaps, and here nine tenths of the users would be one task's.
 */
async function runTasks(room: Room, tasks: number, how: PlainTask["how"], sampleUsers: number): Promise<PlainResult[]> {
  const bounds = await cutUsers(room, tasks)
  return Promise.all(
    bounds.slice(1).map(async (to, at) => {
      const from = bounds[at] ?? ""
      const task: PlainTask = { databaseUrl: room.databaseUrl, date, index: INDEX, how, from, to, sampleUsers }
      const { stdout } = await run(process.execPath, [program, JSON.stringify(task)])
      return JSON.parse(stdout) as PlainResult
    }),
  )
}

async function cutUsers(room: Room, tasks: number): Promise<string[]> {
  const [size] = await room.query<{ users: string; most: string }>(
    "SELECT COUNT(*) AS users, MAX(user_id) AS most FROM users",
  )
  const users = Number(size?.users)
  const cuts = Array.from({ length: tasks }, (_, task) => Math.floor((users * task) / tasks))
  const bounds = cuts.map(async (offset) => {
    const [row] = await room.query<{ userId: string }>(
      `SELECT user_id AS userId FROM users ORDER BY user_id LIMIT 1 OFFSET ${offset}`,
    )
    return row?.userId ?? ""
  })
  return [...(await Promise.all(bounds)), String(BigInt(size?.most ?? 0) + 1n)]
}
