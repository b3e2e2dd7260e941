import { randomBytes } from "node:crypto"
import { createConnection } from "mysql2/promise"
import { inject } from "vitest"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"

export interface TestDatabase extends DatabaseConnection {
  url: string
  /** Runs statements one after the other and returns the rows of the last, numbers of 64 bits as strings. */
  query<Row = Record<string, unknown>>(...statements: string[]): Promise<Row[]>
  drop(): Promise<void>
}

/** Connections that a test's own pool may open. */
const CONNECTIONS_MAX = 10

/** An empty database with Daybook's own tables, for one test file. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = inject("databaseServer")
  const name = `daybook_test_${randomBytes(6).toString("hex")}`
  const admin = await createConnection({ uri: server })
  await admin.query(`CREATE DATABASE ${name}`)
  await admin.end()
  const url = new URL(`/${name}`, server).href
  await migrateDatabase(url)
  const connection = openDatabase({ url, connectionsMax: CONNECTIONS_MAX })
  return {
    ...connection,
    url,
    query: async <Row>(...statements: string[]) => {
      let rows: unknown = []
      for (const statement of statements) rows = ((await connection.db.execute(statement)) as unknown as [unknown])[0]
      return rows as Row[]
    },
    drop: async () => {
      await connection.db.execute(`DROP DATABASE ${name}`)
      await connection.close()
    },
  }
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
