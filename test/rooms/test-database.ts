import { randomBytes } from "node:crypto"
import { createConnection } from "mysql2/promise"
import { afterAll, beforeAll, inject } from "vitest"
import type { ServerKind } from "../../services/local/database/find-server.ts"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"

export interface TestDatabase extends DatabaseConnection {
  url: string
  /** Runs statements one after the other and returns the rows of the last, numbers of 64 bits as strings. */
  query<Row = Record<string, unknown>>(...statements: string[]): Promise<Row[]>
  /** Empties the ledger and Revenue; a shop stays. */
  forgetRuns(): Promise<void>
  drop(): Promise<void>
}

const runTables = [
  "runs",
  "dispatches",
  "shards",
  "revenue_versions",
  "published_days",
  "audits",
  "day_changes",
  "days",
  "backfills",
  "backfill_days",
  "erasures",
  "erased_rows",
  "duties",
]

/** Connections that a test's own pool may open. */
const CONNECTIONS_MAX = 10

/** A database for the tests of one file: there from its first test to its last, with Daybook's own tables and these. */
export function useTestDatabase(...tables: string[]): TestDatabase {
  const database = {} as TestDatabase
  beforeAll(async () => {
    Object.assign(database, await createTestDatabase())
    await database.query(...tables)
  })
  afterAll(() => database.drop())
  return database
}

/** An empty database with Daybook's own tables. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = inject("databaseServer")
  const name = `daybook_test_${randomBytes(6).toString("hex")}`
  const admin = await createConnection({ uri: server })
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.end()
  const url = new URL(`/${name}`, server).href
  await migrateDatabase(url)
  const connection = openDatabase({ url, connectionsMax: CONNECTIONS_MAX })
  const query = async <Row>(...statements: string[]) => {
    let rows: unknown = []
    for (const statement of statements) rows = ((await connection.db.execute(statement)) as unknown as [unknown])[0]
    return rows as Row[]
  }
  return {
    ...connection,
    url,
    query,
    forgetRuns: async () => {
      await query(...runTables.map((table) => `DELETE FROM ${table}`))
      await query("UPDATE controls SET paused = 0, until_at = NULL, changed_at = NULL")
    },
    drop: async () => {
      await connection.db.execute(`DROP DATABASE ${name}`)
      await connection.close()
    },
  }
}

/** Which server a database is on: what differs between them is said where it is expected. */
export async function kindOf(database: Pick<TestDatabase, "query">): Promise<ServerKind> {
  const [row] = await database.query<{ version: string }>("SELECT VERSION() AS version")
  return kindOfVersion(row?.version ?? "")
}

/** By what VERSION() says. */
export const kindOfVersion = (version: string): ServerKind => (version.includes("MariaDB") ? "mariadb" : "mysql")

/** Rows as lines of text, so that a difference is seen at a glance. */
export function asText(rows: Record<string, unknown>[]): string[] {
  const asCell = (value: unknown) => (Buffer.isBuffer(value) ? value.toString("hex").toUpperCase() : String(value))
  return rows.map((row) => Object.values(row).map(asCell).join(","))
}

/** The shop's tables with the index that Daybook wants, empty. */
export const shopTables = [
  `CREATE TABLE users (user_id BIGINT PRIMARY KEY)`,
  `CREATE TABLE purchases (
    purchase_id BIGINT AUTO_INCREMENT PRIMARY KEY,
    user_id BIGINT NULL,
    amount_cents BIGINT NOT NULL,
    purchased_at DATETIME NOT NULL,
    purchased_on DATE AS (DATE(purchased_at)) VIRTUAL,
    KEY purchases_day_slice (purchased_on, user_id, purchased_at, amount_cents))`,
]

/** Inserts purchases given as [user id or null, amount in cents, purchased at in UTC]. */
export function insertPurchases(rows: [bigint | number | null, bigint | number, string][]): string {
  const values = rows.map(([user, amount, at]) => `(${user}, ${amount}, '${at}')`)
  return `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES ${values.join(", ")}`
}
