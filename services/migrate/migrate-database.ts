import { readFileSync } from "node:fs"
import { drizzle } from "drizzle-orm/mysql2"
import { migrate } from "drizzle-orm/mysql2/migrator"
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise"
import { migrationsFolder } from "../../schemas/database/migrations-folder.ts"
import { plainLayout, type ShopLayout } from "../../schemas/database/shop-layout.ts"
import { connectionOptions } from "../../shared/database/connection-options.ts"
import { explainDatabaseError } from "../../shared/database/explain-database-error.ts"
import { allRows, type Database, sessionSettings } from "../../shared/database/open-database.ts"
import { compareRevenue, compareRevenueView } from "../../shared/database/revenue-shape.ts"
import type { DatabaseRoute } from "../../shared/database/route-database.ts"
import { ConfigurationError, describeError, findErrno } from "../../shared/errors.ts"

// The shop may use drizzle too, in the same database: its bookkeeping is not ours.
const migrationsTable = "daybook_migrations"

// Locks of this kind are the server's, not a database's; two databases on one server wait for each other, briefly.
const LOCK = "daybook:migrate"
const LOCK_WAIT_SECONDS = 60
const CONNECT_TIMEOUT_MS = 10_000

// A table that is altered waits for those who use it, and whoever comes later waits behind it: MySQL's own limit is a year.
const TABLE_WAIT_SECONDS = 30
const LOCK_WAIT_TIMEOUT = 1205

export interface MigrateOptions {
  tableWaitSeconds?: number
  /** What the shop declares, by which Revenue has its key, its currency and its measures. */
  layout?: ShopLayout
}

/**
 * Brings Daybook's own tables to the newest version and returns the migrations that it applied. May run several times
 * at once: one migrates, the others wait and find nothing to do. MySQL commits every DDL statement by itself, so a
 * migration that died half way is run again from its start: each statement of a migration must bear that.
 */
export async function migrateDatabase(
  url: string,
  route: Pick<DatabaseRoute, "stream"> = {},
  { tableWaitSeconds = TABLE_WAIT_SECONDS, layout = plainLayout }: MigrateOptions = {},
): Promise<string[]> {
  const connection = await connect(url, route, tableWaitSeconds)
  try {
    await takeLock(connection)
    const applied = await pendingMigrations(connection)
    const db = drizzle({ client: connection })
    await migrate(db, { migrationsFolder, migrationsTable })
    return [...applied, ...(await shapeRevenue(db, layout)), ...(await repairView(db))]
  } catch (error) {
    throw explain(error, url)
  } finally {
    // The server frees the lock with the connection.
    connection.destroy()
  }
}

/** Gives Revenue the columns of a layout; returns what it did. Rows that are there keep theirs, or nothing is done. */
async function shapeRevenue(db: Pick<Database, "execute">, layout: ShopLayout): Promise<string[]> {
  // Migrated without a SHOP_FILE, the Revenue of a shop that has one stays as it is.
  if (layout.fingerprint === undefined) return []
  const { statements, isKeyChanged, userType } = await compareRevenue(db, layout)
  if (isKeyChanged && (await hasRows(db))) {
    throw new ConfigurationError(
      `Revenue has rows of users that are ${userType}, and SHOP_FILE declares ${layout.userType.sql}: ` +
        "keep them by using a database of its own for the other shop, or delete them (DELETE FROM revenue_versions; DELETE FROM published_days) and migrate again.",
    )
  }
  return executeAll(db, statements)
}

/** Makes the view again where it does not show all columns, or where the account whose rights it reads by is gone. */
async function repairView(db: Pick<Database, "execute">): Promise<string[]> {
  return executeAll(db, await compareRevenueView(db))
}

async function executeAll(db: Pick<Database, "execute">, statements: string[]): Promise<string[]> {
  for (const statement of statements) await db.execute(statement)
  return statements.map((statement) => statement.replace(/\s+/g, " "))
}

async function hasRows(db: Pick<Database, "execute">): Promise<boolean> {
  return allRows(await db.execute("SELECT 1 FROM revenue_versions LIMIT 1")).length > 0
}

async function connect(
  url: string,
  { stream }: Pick<DatabaseRoute, "stream">,
  lockWaitSeconds: number,
): Promise<Connection> {
  let connection: Connection | undefined
  try {
    connection = await createConnection({
      ...connectionOptions(url),
      connectTimeout: CONNECT_TIMEOUT_MS,
      ...(stream ? { stream } : {}),
    })
    for (const setting of sessionSettings) await connection.query(setting)
    await connection.query(`SET SESSION lock_wait_timeout = ${lockWaitSeconds}`)
    return connection
  } catch (error) {
    connection?.destroy()
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
  if (findErrno(error) === LOCK_WAIT_TIMEOUT) {
    const sentence = `A table that a migration changes has been in use all the time (${describeError(error)}): migrate again when no run is at work; what is done so far stays, and is no obstacle.`
    return new ConfigurationError(sentence, { cause: error })
  }
  const sentence = explainDatabaseError(error, url)
  return sentence === undefined ? error : new ConfigurationError(sentence, { cause: error })
}
