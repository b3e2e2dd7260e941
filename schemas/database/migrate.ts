import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { drizzle } from "drizzle-orm/mysql2"
import { migrate } from "drizzle-orm/mysql2/migrator"
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise"
import { type DatabaseRoute, routeDatabase } from "../../shared/cloud-sql.ts"
import { ConfigurationError, describeError } from "../../shared/errors.ts"
import { explainDatabaseError } from "../../shared/explain-database-error.ts"
import { readConfig } from "../../shared/read-config.ts"
import { databaseSettings } from "../../shared/settings.ts"

const migrationsFolder = fileURLToPath(new URL("migrations", import.meta.url))

// The shop may use drizzle too, in the same database: its bookkeeping is not ours.
const migrationsTable = "daybook_migrations"

// Locks of this kind are the server's, not a database's; two databases on one server wait for each other, briefly.
const LOCK = "daybook:migrate"
const LOCK_WAIT_SECONDS = 60
const CONNECT_TIMEOUT_MS = 10_000

/**
 * Brings Daybook's own tables to the newest version and returns the migrations that it applied. May run several times
 * at once: one migrates, the others wait and find nothing to do. MySQL commits every DDL statement by itself, so a
 * migration that died half way is run again from its start: each statement of a migration must bear that.
 */
export async function migrateDatabase(url: string, route: Pick<DatabaseRoute, "stream"> = {}): Promise<string[]> {
  const connection = await connect(url, route)
  try {
    await takeLock(connection)
    const applied = await pendingMigrations(connection)
    await migrate(drizzle({ client: connection }), { migrationsFolder, migrationsTable })
    return applied
  } catch (error) {
    throw explain(error, url)
  } finally {
    // The server frees the lock with the connection.
    connection.destroy()
  }
}

async function connect(url: string, { stream }: Pick<DatabaseRoute, "stream">): Promise<Connection> {
  try {
    return await createConnection({ uri: url, connectTimeout: CONNECT_TIMEOUT_MS, ...(stream ? { stream } : {}) })
  } catch (error) {
    throw explain(error, url)
  }
}

async function takeLock(connection: Connection): Promise<void> {
  const [rows] = await connection.query<RowDataPacket[]>("SELECT GET_LOCK(?, ?) AS taken", [LOCK, LOCK_WAIT_SECONDS])
  if (Number(rows[0]?.taken) === 1) return
  throw new ConfigurationError(
    `Another migration has been running on this server for ${LOCK_WAIT_SECONDS} seconds (it holds the lock ${LOCK}): ` +
      "wait for it, or end its connection, and migrate again.",
  )
}

interface Journal {
  entries: { tag: string; when: number }[]
}

/** Drizzle applies what is newer than the newest migration in its table. */
async function pendingMigrations(connection: Connection): Promise<string[]> {
  const journal = JSON.parse(readFileSync(`${migrationsFolder}/meta/_journal.json`, "utf8")) as Journal
  const [tables] = await connection.query<RowDataPacket[]>("SHOW TABLES LIKE ?", [migrationsTable])
  let newest = 0
  if (tables.length > 0) {
    const [rows] = await connection.query<RowDataPacket[]>(`SELECT MAX(created_at) AS newest FROM ${migrationsTable}`)
    newest = Number(rows[0]?.newest ?? 0)
  }
  return journal.entries.filter((entry) => entry.when > newest).map((entry) => entry.tag)
}

/** What only the person who set DATABASE_URL can put right is told in a sentence for them. */
function explain(error: unknown, url: string): unknown {
  const sentence = explainDatabaseError(error, url)
  return sentence === undefined ? error : new ConfigurationError(sentence, { cause: error })
}

const help = `Usage: npm run migrate

Creates Daybook's own tables and the view "revenue" in the shop's database, or brings them to the newest version.
The shop's own tables are not touched. It may be run again at any time.

Environment:
  DATABASE_URL        mysql://user:password@host:port/database
  CLOUD_SQL_INSTANCE  PROJECT:REGION:INSTANCE, if it is in Cloud SQL; without a password in DATABASE_URL, as IAM says
  CLOUD_SQL_ADDRESS   which of its addresses: PUBLIC (if not set), PRIVATE or PSC`

if (import.meta.main) {
  if (process.argv.slice(2).some((argument) => argument === "--help" || argument === "-h")) console.log(help)
  else void main().then((code) => (process.exitCode = code)) // no top-level await in the CommonJS bundle of the image
}

async function main(): Promise<number> {
  try {
    const route = await routeDatabase(readConfig(databaseSettings, process.env))
    const applied = await migrateDatabase(route.url, route).finally(() => route.close())
    for (const migration of applied) console.log(`applied ${migration}`)
    if (applied.length === 0) console.log("up to date")
    return 0
  } catch (error) {
    console.error(error instanceof ConfigurationError ? error.message : describeError(error))
    return 1
  }
}
