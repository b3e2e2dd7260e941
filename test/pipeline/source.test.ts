import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { type DatabaseServer, startDatabaseServer } from "../../services/local/database/start-server.ts"
import { type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"
import { topics } from "../../shared/messages/topics.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"
import { asText, shopTables } from "../fixtures/test-database.ts"

const password = "hush-of-the-source"

let folder: string
let server: DatabaseServer
/** The shop, as its owner; Daybook may only read it. */
let shop: DatabaseConnection
let pipeline: Pipeline

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-source-"))
  server = await startDatabaseServer({ folder })
  const url = new URL("/shop", server.url)
  const root = openDatabase({ url: new URL("/mysql", server.url).href, connectionsMax: 1 })
  await root.db.execute("CREATE DATABASE shop")
  await root.db.execute(`CREATE USER reader@'127.0.0.1' IDENTIFIED BY '${password}'`)
  await root.db.execute("GRANT SELECT ON shop.* TO reader@'127.0.0.1'")
  await root.close()
  shop = openDatabase({ url: url.href, connectionsMax: 4 })
  for (const statement of [...shopTables, ...purchasesOf(200, 5)]) await shop.db.execute(statement)
  url.username = "reader"
  url.password = password
  pipeline = await startPipeline({ settings: { SOURCE_DATABASE_URL: url.href } })
  // Who looks for a shop beside Revenue finds none.
  await pipeline.query("DROP TABLE purchases, users")
})
afterAll(async () => {
  await pipeline?.stop()
  await shop?.close()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

async function ask<Row = Record<string, string>>(statement: string): Promise<Row[]> {
  return ((await shop.db.execute(statement)) as unknown as [Row[]])[0]
}

/** The view that readers see on the primary, beside an independent computation on the source. */
async function expectRevenue(): Promise<number> {
  const seen = await pipeline.query(`SELECT user_id, amount_cents, purchases FROM revenue
    WHERE revenue_date = '${date}' ORDER BY user_id`)
  const expected = await ask(`SELECT user_id, SUM(amount_cents), COUNT(*) FROM purchases
    WHERE DATE(purchased_at) = '${date}' AND user_id IS NOT NULL GROUP BY user_id ORDER BY user_id`)
  expect(asText(seen)).toEqual(asText(expected))
  return seen.length
}

/** How often the server has written a row of a table, or been asked to change anything. */
async function countWrites(): Promise<Record<string, string>> {
  const rows = await ask<{ Variable_name: string; Value: string }>(`SHOW GLOBAL STATUS WHERE Variable_name REGEXP
    '^(Innodb_rows_(inserted|updated|deleted)|Com_(insert|update|delete|replace|create|alter|drop|truncate|load|lock|call|grant).*)$'`)
  expect(rows.length).toBeGreaterThan(20)
  return Object.fromEntries(rows.map((row) => [row.Variable_name, row.Value]))
}

test("a day whose shop is on another server is whole, and that server sees nothing but reads", async () => {
  await ask("SET GLOBAL log_output = 'TABLE'")
  await ask("SET GLOBAL general_log = ON")
  const before = await countWrites()
  const verdict = await pipeline.start()
  expect(verdict).toMatchObject({ verdict: "complete", version: 1, guestPurchases: 25n })
  expect(verdict.rows).toBe(BigInt(await expectRevenue()))
  expect(verdict.shards).toBeGreaterThan(10)
  expect(await countWrites()).toEqual(before)
  await ask("SET GLOBAL general_log = OFF")
  const statements = await ask<{ statement: string }>(`SELECT CONVERT(argument USING utf8mb4) AS statement
    FROM mysql.general_log WHERE user_host LIKE '%reader%' AND command_type NOT IN ('Connect', 'Quit')`)
  const verbs = new Set(statements.map(({ statement }) => statement.trim().split(/\s/)[0]))
  expect(verbs).toEqual(new Set(["SET", "SHOW", "SELECT", "EXPLAIN"]))
  expect(statements.filter(({ statement }) => /GROUP BY/.test(statement)).length).toBeGreaterThan(10)
})

test("purchases that come after the verdict of a run are in the next one", async () => {
  await ask(`INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (1, 1000, '${date} 01:00:00')`)
  await expect(expectRevenue()).rejects.toThrow("deeply equal")
  expect(await pipeline.start()).toMatchObject({ verdict: "complete", version: 2 })
  await expectRevenue()
})

test("a source whose connections are killed under the tasks is asked again, and the day is whole", async () => {
  const holder = openDatabase({ url: new URL("/shop", server.url).href, connectionsMax: 1 })
  // After the plan, before the tasks: their reads have to wait.
  const remove = pipeline.cloud.runJobs.faults.add({
    matches: ({ method }) => method === "RunJob",
    before: async () => void (await holder.db.execute("LOCK TABLES purchases WRITE")),
  })
  const request = await pipeline.publish(topics.runRequests, { date })
  const readers = () =>
    ask<{ id: string }>(
      "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'reader' AND INFO LIKE '%SUM(%'",
    )
  await vi.waitFor(async () => expect(await readers()).toHaveLength(2), { timeout: 20_000, interval: 20 })
  for (const { id } of await readers()) await ask(`KILL ${id}`)
  remove()
  await holder.close()
  expect(await pipeline.awaitVerdict(request)).toMatchObject({ verdict: "complete", version: 3 })
  await expectRevenue()
  expect(await pipeline.readLogs()).toContain("the shop cannot be read: ")
})

test("a source that is away keeps a day waiting, says which server to look after, and tells no password", async () => {
  await server.stop()
  const request = await pipeline.publish(topics.runRequests, { date })
  const sentence = `No database answers at 127.0.0.1:${server.port}: start it, or correct SOURCE_DATABASE_URL.`
  await vi.waitFor(async () => expect(await pipeline.readLogs()).toContain(sentence), { timeout: 20_000, interval: 50 })
  await server.restart()
  expect(await pipeline.awaitVerdict(request)).toMatchObject({ verdict: "complete", version: 4 })
  await expectRevenue()
  expect(await pipeline.readLogs()).not.toContain(password)
})
