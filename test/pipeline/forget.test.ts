import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { findYesterday } from "../../shared/day/revenue-day.ts"
import { topics } from "../../shared/messages/topics.ts"
import { typeCommand } from "../fixtures/start-cli.ts"
import { type Pipeline, startPipeline } from "../fixtures/start-pipeline.ts"

let pipeline: Pipeline
// A day that is repaired by itself, and one whose books are closed.
const newest = findYesterday(new Date(), "UTC").date
const old = "2026-01-15"
const wait = { timeout: 60_000, interval: 50 }
// Digits that nothing else has. At her the second shard begins, and so at her is said where the first one ends.
let user: string
let env: NodeJS.ProcessEnv

const userAt = (n: number) => String(7_310_000_000_000 + n * 7)

beforeAll(async () => {
  pipeline = await startPipeline()
  for (const of of [newest, old]) {
    const values = Array.from({ length: 200 }, (_, n) => `(${userAt(Math.floor(n / 4))}, ${100 + n}, '${of} 10:00:00')`)
    await pipeline.query(`INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES ${values.join()}`)
  }
  await pipeline.start(old)
  const { runId = "" } = await pipeline.start(newest)
  user = (await pipeline.readPlan(runId)).shards[1]?.from ?? ""
  env = { ...pipeline.cloud.env, DATABASE_URL: pipeline.databaseUrl, GOOGLE_CLOUD_PROJECT: "local" }
})
afterAll(() => pipeline.stop())

const forget = (...args: string[]) => typeCommand(["forget", ...args], env)

const changes = (of: string) => pipeline.dayChanges(of)
const statesOf = (date: string) => changes(date).map(({ state }) => state)

/** Waits until an audit has ended and its document is written. */
async function audit(date: string, state: string): Promise<{ rowsErased?: string }> {
  const id = await pipeline.publish(topics.auditRequests, { date })
  return vi.waitFor(async () => {
    const [row] = await pipeline.query<{ state: string; document: string; announced_at: unknown }>(
      `SELECT state, document, announced_at FROM audits WHERE request_id = '${id}'`,
    )
    expect(row?.state).toBe(state)
    expect(row?.announced_at).not.toBeNull()
    return JSON.parse(row?.document ?? "") as { rowsErased?: string }
  }, wait)
}

/** Documents and tables of Daybook's own in which the user's digits are. */
async function whereNamed(): Promise<string[]> {
  const bucket = join(pipeline.cloud.folder, "bucket")
  const files = await readdir(bucket, { recursive: true, withFileTypes: true })
  const named: string[] = []
  for (const file of files.filter((entry) => entry.isFile())) {
    const path = join(file.parentPath, file.name)
    if ((await readFile(path, "utf8")).includes(user)) named.push(path.slice(bucket.length + "/daybook/".length))
  }
  const tables = await pipeline.query<{ name: string }>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'",
  )
  for (const { name } of tables.filter((table) => !["purchases", "users"].includes(table.name))) {
    const rows = await pipeline.query(`SELECT * FROM ${name}`)
    if (rows.some((row) => JSON.stringify(row).includes(user))) named.push(name)
  }
  return named.toSorted()
}

test("a user is named by audits, by a verdict and its changes, and by the ranges of shards", async () => {
  expect(user).toMatch(/^731000000\d{4}$/)
  // Found by an audit and repaired: she is named by the audit, by the next verdict and by its changes.
  await pipeline.query(`UPDATE purchases SET amount_cents = amount_cents + 1 WHERE user_id = ${user}`)
  await audit(newest, "drifted")
  await vi.waitFor(() => expect(statesOf(newest)).toEqual(["shown", "drifted", "repaired"]), wait)
  await audit(old, "drifted")
  expect(await whereNamed()).toEqual(
    expect.arrayContaining(["audits", "revenue_versions", "runs", "shards", expect.stringMatching(/changes\.jsonl$/)]),
  )
})

test("nothing is erased while the shop has purchases of the user, and a note does not name the user", async () => {
  const before = await whereNamed()
  const refused = await forget(user)
  expect(refused).toMatchObject({ code: 1, stdout: "" })
  expect(refused.stderr).toContain(`The shop still has purchases of this user, of ${old} and of 1 other day`)
  expect((await forget(user, "--note", `for ${user}`)).stderr).toContain("leave the user out of it")
  expect((await forget("seventeen")).stderr).toContain("seventeen is no user of this shop, whose users are BIGINT")
  expect(await whereNamed()).toEqual(before)
})

test("a dry run lists what would go; then all of it is gone, and readers see the shop", async () => {
  await pipeline.query(`DELETE FROM purchases WHERE user_id = ${user}`)
  const before = await whereNamed()
  const dry = await forget(user, "--dry-run", "--json")
  expect(dry.code).toBe(0)
  const listed = JSON.parse(dry.stdout) as { documents: string[]; versions: unknown[]; left: unknown[] }
  expect(listed.documents).toEqual(before.filter((path) => path.includes("/")))
  expect(listed).toMatchObject({
    dryRun: true,
    versions: [
      { date: old, version: 1, rows: 1 },
      { date: newest, version: 1, rows: 1 },
      { date: newest, version: 2, rows: 1 },
    ],
    left: [],
  })
  expect(await whereNamed()).toEqual(before)

  const done = await forget(user, "--note", "request 118")
  expect(done).toMatchObject({ code: 0, stderr: "" })
  expect(done.stdout).toContain("erased: 3 rows of 2 days")
  expect(await whereNamed()).toEqual([])
  for (const date of [old, newest]) await pipeline.expectRevenue(date)
  const [day] = await pipeline.query<{ fits: unknown }>(
    `SELECT d.row_count = COUNT(*) AND d.purchases = SUM(r.purchases) AND d.amount_cents = SUM(r.amount_cents) AS fits
      FROM published_days d JOIN revenue r USING (revenue_date) WHERE revenue_date = '${newest}' GROUP BY revenue_date`,
  )
  expect(Number(day?.fits)).toBe(1)
  expect(await pipeline.query("SELECT note FROM erasures WHERE ended_at IS NOT NULL")).toEqual([
    { note: "request 118" },
  ])
})

test("whoever keeps a copy is told, audits know of it, and asked for again there is nothing left", async () => {
  await vi.waitFor(() => expect(statesOf(newest)).toEqual(["shown", "drifted", "repaired", "erased"]), wait)
  const erased = changes(newest)[3]
  expect(erased).toMatchObject({
    version: 2,
    before: { users: 50n, purchases: 200n },
    after: { users: 49n, purchases: 196n },
  })
  for (const date of [old, newest]) expect(await audit(date, "same")).toMatchObject({ rowsErased: "1" })
  expect(statesOf(old)).toEqual(["shown", "drifted", "erased", "shown"])
  const audited = await typeCommand(["audit", old, "--wait"], env)
  expect(audited.stdout).toContain(`${old}: 1 row erased since its verdict, of forgotten users`)
  const again = await forget(user)
  expect(again).toMatchObject({ code: 0 })
  expect(again.stdout).toContain("erased: 0 rows of 0 days, 0 documents and 0 entries")
})
