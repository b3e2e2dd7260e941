import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { fileURLToPath } from "node:url"
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise"
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest"
import { parseShopDeclaration } from "../../schemas/database/shop-declaration.ts"
import { layOutShop } from "../../schemas/database/shop-layout.ts"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { explainDatabaseError } from "../../shared/database/explain-database-error.ts"

const server = inject("databaseServer")
const name = `daybook_migrate_${randomBytes(6).toString("hex")}`
const url = new URL(`/${name}`, server).href
const script = fileURLToPath(new URL("../../services/migrate/main.ts", import.meta.url))

let connection: Connection

beforeAll(async () => {
  connection = await createConnection({ uri: server })
})

beforeEach(async () => {
  await connection.query(`DROP DATABASE IF EXISTS ${name}`)
  await connection.query(`CREATE DATABASE ${name}`)
  await connection.query(`USE ${name}`)
})

afterAll(async () => {
  await connection.query(`DROP DATABASE IF EXISTS ${name}`)
  await connection.end()
})

test("an empty database gets all tables, and a second migration finds nothing to do", async () => {
  const applied = await migrateDatabase(url)
  expect(applied[0]).toBe("0000_ledger_and_revenue")
  expect(await listTables()).toEqual(
    expect.arrayContaining(["dispatches", "published_days", "revenue", "revenue_versions", "runs", "shards"]),
  )
  await connection.query(
    "INSERT INTO published_days (revenue_date, version, run_id, published_at) VALUES ('2026-11-22', 1, 'r', NOW(3))",
  )
  expect(await migrateDatabase(url)).toEqual([])
  expect(await select("SELECT COUNT(*) AS days FROM published_days")).toEqual([{ days: 1 }])
})

test("of five migrations at once, one applies everything and the others nothing", async () => {
  const applied = await Promise.all(Array.from({ length: 5 }, () => migrateDatabase(url)))
  expect(applied.filter((migrations) => migrations.length > 0)).toHaveLength(1)
  expect(await select("SELECT COUNT(*) AS applied FROM daybook_migrations")).toEqual([
    { applied: applied.flat().length },
  ])
})

test("the view shows the published version of a date only", async () => {
  await migrateDatabase(url)
  await connection.query(
    "INSERT INTO revenue_versions VALUES ('2026-11-22', 1, 7, 100, 1), ('2026-11-22', 2, 7, 150, 2), ('2026-11-23', 1, 7, 9, 1)",
  )
  expect(await select("SELECT * FROM revenue")).toEqual([])
  await connection.query(
    "INSERT INTO published_days (revenue_date, version, run_id, published_at) VALUES ('2026-11-22', 2, 'r', NOW(3))",
  )
  expect(await select("SELECT user_id, amount_cents, purchases FROM revenue")).toEqual([
    { user_id: 7, amount_cents: 150, purchases: 2 },
  ])
})

test("a migration that died half way is run again", async () => {
  await migrateDatabase(url)
  // As it is when the connection breaks after some statements: tables, but no view and no entry in the bookkeeping.
  await connection.query("DROP TABLE daybook_migrations, revenue_versions")
  await connection.query("DROP VIEW revenue")
  await connection.query(
    "INSERT INTO published_days (revenue_date, version, run_id, published_at) VALUES ('2026-11-22', 1, 'r', NOW(3))",
  )
  expect(await migrateDatabase(url)).toContain("0000_ledger_and_revenue")
  expect(await listTables()).toEqual(expect.arrayContaining(["daybook_migrations", "revenue", "revenue_versions"]))
  expect(await select("SELECT COUNT(*) AS days FROM published_days")).toEqual([{ days: 1 }])
})

test("a table that is in use all the time is told after a bounded wait, and the next migration does it", async () => {
  await migrateDatabase(url)
  // The fifth alters shards, however often it is repeated.
  await connection.query("DELETE FROM daybook_migrations WHERE id >= 5")
  const run = await createConnection({ uri: url })
  try {
    await run.query("START TRANSACTION")
    await run.query("SELECT * FROM shards")
    await expect(migrateDatabase(url, {}, { tableWaitSeconds: 1 })).rejects.toThrow(
      /in use all the time .*: migrate again when no run is at work/,
    )
    await run.query("COMMIT")
    expect((await migrateDatabase(url, {}, { tableWaitSeconds: 1 }))[0]).toBe("0004_any_shop")
  } finally {
    await run.end()
  }
})

test("the shop's tables and its own drizzle bookkeeping are left alone", async () => {
  await connection.query("CREATE TABLE purchases (purchase_id BIGINT PRIMARY KEY)")
  await connection.query("CREATE TABLE __drizzle_migrations (id INT)")
  await migrateDatabase(url)
  expect(await select("SELECT COUNT(*) AS entries FROM __drizzle_migrations")).toEqual([{ entries: 0 }])
  expect(await select("SHOW COLUMNS FROM purchases")).toHaveLength(1)
})

test("what is wrong with the URL or the server is told in one sentence", async () => {
  const withPassword = Object.assign(new URL(url), { password: "wrong" }).href
  const { username } = new URL(server)
  await expect(migrateDatabase(withPassword)).rejects.toThrow(`refuses the user "${username}" with this password`)
  await expect(migrateDatabase(new URL("/not_there", server).href)).rejects.toThrow('no database "not_there"')
  await expect(migrateDatabase("mysql://root@nowhere.invalid/daybook")).rejects.toThrow(
    "host nowhere.invalid cannot be",
  )
})

test("run as a command it tells what it did, or in one line why it cannot", async () => {
  const [migrated, noUrl, noServer] = await Promise.all([
    runMigrate(url),
    runMigrate(undefined),
    runMigrate("mysql://root@127.0.0.1:1/daybook"),
  ])
  expect(migrated).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("applied 0000_ledger"), stderr: "" })
  expect(await runMigrate(url)).toEqual({ exitCode: 0, stdout: "up to date\n", stderr: "" })
  expect(noUrl).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("DATABASE_URL is not set") })
  expect(noServer).toEqual({
    exitCode: 1,
    stdout: "",
    stderr: "No database answers at 127.0.0.1:1: start it, or correct DATABASE_URL.\n",
  })
})

function runMigrate(databaseUrl: string | undefined, ...args: string[]) {
  const { DATABASE_URL: _, ...env } = process.env
  if (databaseUrl !== undefined) env.DATABASE_URL = databaseUrl
  return new Promise<{ exitCode: number | null; stdout: string; stderr: string }>((resolve) => {
    const child = execFile(process.execPath, [script, ...args], { env }, (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode, stdout, stderr }),
    )
  })
}

async function select(statement: string): Promise<RowDataPacket[]> {
  return (await connection.query<RowDataPacket[]>(statement))[0]
}

async function listTables(): Promise<unknown[]> {
  return (await select("SHOW TABLES")).map((row) => Object.values(row)[0])
}

test("Revenue gets the key, the currency and the measures that a shop declares, while it has no rows of another", async () => {
  const layout = (userType: string) =>
    layOutShop(
      parseShopDeclaration(`userType: ${userType}
table: orders
user: {column: u}
amount: {expression: a, scale: 2}
time: {column: t, kind: utc}
currency: c
measures: {tax: {expression: x, scale: 2}}`),
    )
  await migrateDatabase(url)
  const text = layout("varchar(40) collate utf8mb4_bin")
  expect((await migrateDatabase(url, {}, { layout: text })).join()).toMatch(/MODIFY COLUMN user_id VARCHAR\(40\).*VIEW/)
  expect(await migrateDatabase(url, {}, { layout: text })).toEqual([])
  for (const currency of ["EUR", "eur"]) {
    await connection.query(`INSERT INTO revenue_versions (revenue_date, version, user_id, currency, amount_cents, purchases, tax)
        VALUES ('2026-11-22', 1, 'cus_1', '${currency}', 5, 1, 2)`)
  }
  await connection.query(
    "INSERT INTO published_days (revenue_date, version, run_id, published_at) VALUES ('2026-11-22', 1, 'r', NOW())",
  )
  const [rows] = await connection.query("SELECT user_id, currency, amount_cents, purchases, tax FROM revenue")
  expect(rows).toHaveLength(2)
  // Without a SHOP_FILE it stays as it is.
  expect(await migrateDatabase(url)).toEqual([])
  await expect(migrateDatabase(url, {}, { layout: layout("bigint") })).rejects.toThrow(
    /rows of users that are varchar\(40\) collate utf8mb4_bin, and SHOP_FILE declares BIGINT/,
  )
})

test.skipIf(!inject("mayCreateUsers"))(
  "the view outlives the account that made it: the next migration makes it again",
  async () => {
    const [maker, reader] = ["maker", "reader"].map((role) => `'${role}_${randomBytes(4).toString("hex")}'@'%'`)
    const accounts = `${maker}, ${reader}`
    const urlOf = (account = "") =>
      Object.assign(new URL(url), { username: account.split("'")[1] ?? "", password: "p" }).href
    await connection.query(`CREATE USER ${maker} IDENTIFIED BY 'p', ${reader} IDENTIFIED BY 'p'`)
    try {
      await connection.query(`GRANT ALL ON ${name}.* TO ${maker}`)
      await migrateDatabase(urlOf(maker))
      await connection.query(`GRANT SELECT ON ${name}.revenue TO ${reader}`)
      const readerConnection = await createConnection({ uri: urlOf(reader) })
      try {
        expect((await readerConnection.query("SELECT * FROM revenue"))[0]).toEqual([])
        await connection.query(`DROP USER ${maker}`)
        const error: unknown = await readerConnection.query("SELECT * FROM revenue").catch((thrown: unknown) => thrown)
        expect(explainDatabaseError(error, url)).toContain("run npm run migrate")
        expect(await migrateDatabase(url)).toEqual([expect.stringContaining("CREATE OR REPLACE VIEW revenue")])
        expect((await readerConnection.query("SELECT * FROM revenue"))[0]).toEqual([])
        expect(await migrateDatabase(url)).toEqual([])
      } finally {
        await readerConnection.end()
      }
    } finally {
      await connection.query(`DROP USER IF EXISTS ${accounts}`)
    }
  },
)
