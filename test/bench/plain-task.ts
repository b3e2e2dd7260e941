import { createConnection, type RowDataPacket } from "mysql2/promise"

/*
 * A task of a Cloud Run Job as people write it today: it knows its slice of the users by its index, and does it. No
 * claims, no retries, no checks: what it is compared with does all of that in addition.
 */

export interface PlainTask {
  databaseUrl: string
  date: string
  index: string
  /** `each user`: a query and an insert for each; `group by`: one statement. */
  how: "each user" | "group by"
  /** Bounds of the slice, as `[from, to)`. */
  from: string
  to: string
  /** With `each user`, how many of the slice are done. */
  sampleUsers: number
}

export interface PlainResult {
  users: number
  sampled: number
  /** Of the loop over the sampled users alone. */
  loopMs: number
}

const task = JSON.parse(process.argv[2] ?? "") as PlainTask
const connection = await createConnection({ uri: task.databaseUrl, supportBigNumbers: true, bigNumberStrings: true })
await connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
const result = task.how === "each user" ? await computeEachUser() : await computeAtOnce()
await connection.end()
console.log(JSON.stringify(result))

async function computeEachUser(): Promise<PlainResult> {
  const [users] = await connection.query<RowDataPacket[]>(
    "SELECT user_id FROM users WHERE user_id >= ? AND user_id < ? ORDER BY user_id",
    [task.from, task.to],
  )
  const sample = users.slice(0, task.sampleUsers)
  const startedAt = performance.now()
  for (const user of sample) {
    const [[sum]] = await connection.query<RowDataPacket[]>(
      "SELECT SUM(amount_cents) AS amount, COUNT(*) AS purchases FROM purchases WHERE purchased_on = ? AND user_id = ?",
      [task.date, user["user_id"]],
    )
    if (Number(sum?.["purchases"]) === 0) continue
    await connection.query("INSERT INTO bench_rows VALUES (?, 1, ?, ?, ?)", [
      task.date,
      user["user_id"],
      sum?.["amount"],
      sum?.["purchases"],
    ])
  }
  return { users: users.length, sampled: sample.length, loopMs: performance.now() - startedAt }
}

async function computeAtOnce(): Promise<PlainResult> {
  await connection.query(
    `INSERT INTO bench_rows SELECT ?, 1, user_id, SUM(amount_cents), COUNT(*)
     FROM purchases FORCE INDEX (${task.index})
     WHERE purchased_on = ? AND user_id >= ? AND user_id < ? GROUP BY user_id`,
    [task.date, task.date, task.from, task.to],
  )
  return { users: 0, sampled: 0, loopMs: 0 }
}
