import type { Pool } from "mysql2"
import type { RowDataPacket } from "mysql2/promise"
import { InjectedError } from "../../services/emulators/faults.ts"
import { type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"
import { type DatabaseProxy, SqlError, startDatabaseProxy } from "../faults/database-proxy.ts"
import type { TestDatabase } from "./test-database.ts"

/** Errors of a server that keeps the connection, and a connection that is lost. */
export const refusals = {
  lost: () => new InjectedError("ABORTED", "the connection is cut"),
  lockWait: () => new SqlError(1205, "HY000", "Lock wait timeout exceeded; try restarting transaction"),
  readOnly: () => new SqlError(1290, "HY000", "The server is running with the --read-only option"),
  tooMany: () => new SqlError(1226, "42000", "User 'daybook' has exceeded the 'max_queries_per_hour' resource"),
  interrupted: () => new SqlError(1317, "70100", "Query execution was interrupted"),
  denied: () => new SqlError(1142, "42000", "UPDATE command denied to user 'daybook' for table 'runs'"),
}

/** A pool of one connection to a test's database, whose server can be made to refuse statements. */
export interface BehindProxy extends DatabaseConnection {
  proxy: DatabaseProxy
  /** The next statement that matches is answered with an error and does not reach the server. */
  refuseOnce(pattern: RegExp, error?: () => Error): void
  /** Whether everything that was to be refused has been. */
  hasRefused(): boolean
  /** Forgets what was to be refused, and closes. */
  stop(): Promise<void>
}

export async function openBehindProxy(database: Pick<TestDatabase, "url">): Promise<BehindProxy> {
  const proxy = await startDatabaseProxy()
  const url = new URL(database.url)
  proxy.target = Number(url.port)
  url.hostname = "127.0.0.1"
  url.port = String(proxy.port)
  const connection = openDatabase({ url: url.href, connectionsMax: 1 })
  const due = new Set<RegExp>()
  return {
    ...connection,
    proxy,
    refuseOnce: (pattern, error = refusals.lockWait) => {
      due.add(pattern)
      proxy.faults.add({
        matches: ({ request }) => due.has(pattern) && pattern.test(String(request)),
        before: () => {
          due.delete(pattern)
          throw error()
        },
      })
    },
    hasRefused: () => due.size === 0,
    stop: async () => {
      await connection.close()
      await proxy.stop()
    },
  }
}

/** The server's number of the connection that a pool of one gives to its next caller; fails if that waits for long. */
export async function nextConnection(pool: Pool): Promise<number> {
  const [rows] = await pool.promise().query<RowDataPacket[]>({ sql: "SELECT CONNECTION_ID() AS id", timeout: 5_000 })
  return Number(rows[0]?.["id"])
}
