import type { Duplex } from "node:stream"
import type { MySqlDatabase } from "drizzle-orm/mysql-core"
import { drizzle, type MySql2PreparedQueryHKT, type MySql2QueryResultHKT } from "drizzle-orm/mysql2"
import { createPool, type Pool, type PoolOptions, type ResultSetHeader } from "mysql2"
import { listCauses } from "../errors.ts"
import { connectionOptions } from "./connection-options.ts"
import { STATEMENT_TIME_UNLIMITED } from "./dialect.ts"
import { discardConnection } from "./discard-connection.ts"
import { type SilenceOptions, watchSilence } from "./watch-silence.ts"

/** A database or a transaction in it. A transaction is opened by `inTransaction` alone: drizzle's own may leave one open. */
export type Database = Omit<MySqlDatabase<MySql2QueryResultHKT, MySql2PreparedQueryHKT>, "transaction">

export interface DatabaseConnection {
  db: Database
  /** The driver's own, for what drizzle has not: rows taken as they come. */
  pool: Pool
  close: () => Promise<void>
}

export interface DatabaseOptions extends SilenceOptions {
  /** mysql://user:password@host:port/database */
  url: string
  /** Where the bytes go, if not to the URL's host. */
  stream?: () => Duplex
  /** Connections that may be open at once. */
  connectionsMax: number
  /**
   * Seconds after which the server drops a connection that asks nothing, and rolls its transaction back. It bounds how
   * long a frozen process can keep rows locked.
   */
  idleSecondsMax?: number
  /** Seconds that a statement waits for a row that somebody else has locked; the server's own setting by default. */
  lockWaitSecondsMax?: number
  /** Seconds that a statement waits for a table that somebody else has locked or alters; by default the server's own, a day or a year. */
  tableWaitSecondsMax?: number
  /** Every transaction is READ ONLY: the server itself refuses a write. */
  readOnly?: boolean
}

const CONNECT_TIMEOUT_MS = 10_000

// A host that is gone is noticed within twice as long, by the system itself.
const KEEP_ALIVE_MS = 10_000

// READ COMMITTED: the shop's rows are read without locks. Strict: a sum that does not fit is an error, never a clipped
// number. UTC: DATETIME columns hold UTC. The rest undoes what somebody may have set for everybody on the server: commits
// that do not happen, begin another transaction or end the connection; writes that are refused; statements that end in the
// middle; selects that are refused or cut short; a character set that the client is not asked about. By default a quotient is
// rounded to four more digits than its dividend has, before anybody can see that an amount is not exact; 30 are the most.
export const sessionSettings = [
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
  `SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', time_zone = '+00:00',
    autocommit = 1, completion_type = 'NO_CHAIN', sql_safe_updates = 0, sql_big_selects = 1,
    sql_select_limit = DEFAULT, div_precision_increment = 30, character_set_client = utf8mb4, character_set_connection = utf8mb4,
    character_set_results = utf8mb4${STATEMENT_TIME_UNLIMITED}`,
]

/** Opens a pool; connections are made when first used. */
export function openDatabase(options: DatabaseOptions): DatabaseConnection {
  const connect: PoolOptions = {
    ...connectionOptions(options.url),
    ...(options.stream ? { stream: options.stream } : {}),
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableKeepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  }
  const pool = createPool({
    ...connect,
    connectionLimit: options.connectionsMax,
    timezone: "Z",
    // 64-bit integers and decimals as strings: no digit is lost on the way to bigint.
    supportBigNumbers: true,
    bigNumberStrings: true,
  })
  const tableWait =
    options.tableWaitSecondsMax === undefined ? "" : `, lock_wait_timeout = ${options.tableWaitSecondsMax}`
  const settings = [...sessionSettings, `SET SESSION wait_timeout = ${options.idleSecondsMax ?? 600}${tableWait}`]
  if (options.lockWaitSecondsMax) settings.push(`SET SESSION innodb_lock_wait_timeout = ${options.lockWaitSecondsMax}`)
  if (options.readOnly) settings.push("SET SESSION TRANSACTION READ ONLY")
  pool.on("connection", (connection) => {
    for (const setting of settings) connection.query(setting, (error) => error && discardConnection(connection, error))
  })
  const watch = watchSilence(pool, connect, options)
  const close = async () => {
    watch.stop()
    await pool.promise().end()
  }
  return { db: drizzle({ client: pool }), pool, close }
}

/** How many rows a write matched. */
export function matchedRows(result: [ResultSetHeader, ...unknown[]]): number {
  return result[0].affectedRows
}

/** All rows of a SELECT run with `db.execute`. */
export function allRows<Row>(result: unknown): Row[] {
  return (result as [Row[]])[0]
}

// ER_DUP_ENTRY: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
const DUPLICATE_ENTRY = 1062

/** Whether an error is a duplicate of a unique key whose name contains `key`. */
export function isDuplicateKey(error: unknown, key: string): boolean {
  const duplicate = listCauses(error).find((cause) => (cause as { errno?: unknown }).errno === DUPLICATE_ENTRY)
  return duplicate?.message.includes(key) ?? false
}
