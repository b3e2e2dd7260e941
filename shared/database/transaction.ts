import { drizzle } from "drizzle-orm/mysql2"
import type { Pool, PoolConnection, ResultSetHeader } from "mysql2"
import { CommitUnknownError, findErrno } from "../errors.ts"
import { discardConnection } from "./discard-connection.ts"
import type { Database } from "./open-database.ts"

interface TransactionOptions {
  /**
   * All reads see the database as of the moment when the transaction begins (REPEATABLE READ). Without it each statement
   * sees what is committed when it begins (READ COMMITTED). The session keeps READ COMMITTED either way.
   */
  snapshot?: boolean
  /** The server refuses every write. */
  readOnly?: boolean
}

/**
 * Runs `work` in a transaction on a connection of its own, and returns what it returns. Every transaction of every service
 * is opened here. On a separate source `on` is its Database or its plain pool.
 *
 * - If `work` throws, or any of its statements was refused, everything is rolled back and the error is thrown.
 * - The connection serves the next caller only if the server has confirmed that the transaction is over. If BEGIN, ROLLBACK
 *   or COMMIT fails, the connection is discarded: the next BEGIN on it would commit what is still open.
 * - If the answer to COMMIT is lost, CommitUnknownError is thrown: everything is committed, or nothing is.
 * - Transactions do not nest. A function that opens one takes a Database that is none, and this throws otherwise.
 */
export async function inTransaction<T>(
  on: Database | Pool,
  work: (tx: Database) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const connection = await takeConnection(poolOf(on))
  let isOver = false
  try {
    for (const statement of beginStatements(options)) await send(connection, statement)
    const statements = openStatements(connection)
    let result: T
    try {
      result = await work(bindDatabase(statements))
      statements.end()
    } catch (error) {
      statements.close()
      isOver = (await rollBack(connection)) && !isOfReplica(error)
      throw error
    }
    isOver = await commit(connection)
    return result
  } finally {
    if (isOver) connection.release()
    else discardConnection(connection)
  }
}

function beginStatements({ snapshot = false, readOnly = false }: TransactionOptions): string[] {
  if (!snapshot) return [readOnly ? "start transaction read only" : "begin"]
  return [
    // For the next transaction alone: https://dev.mysql.com/doc/refman/8.4/en/set-transaction.html
    "set transaction isolation level repeatable read",
    `start transaction with consistent snapshot${readOnly ? ", read only" : ""}`,
  ]
}

/** Returns whether the server has confirmed that everything is undone. */
async function rollBack(connection: PoolConnection): Promise<boolean> {
  try {
    return isEnd(await send(connection, "rollback"))
  } catch {
    // The server rolls back when the connection is cut. The error that led here is the one that tells.
    return false
  }
}

/** Returns whether the connection may serve others; throws if nothing was committed, or if that is not known. */
async function commit(connection: PoolConnection): Promise<boolean> {
  try {
    return isEnd(await send(connection, "commit"))
  } catch (cause) {
    if (isRefusal(cause)) throw cause
    throw new CommitUnknownError("a transaction may be committed or not: the answer to its COMMIT is missing", {
      cause,
    })
  }
}

// Numbers of errors that say that a statement was cut short, or that the other side of a proxy is gone, and not how far a
// COMMIT had come: https://dev.mysql.com/doc/mysql-errors/8.4/en/ and https://mariadb.com/kb/en/mariadb-error-code-reference/
const cutShort = new Set([
  1053, // ER_SERVER_SHUTDOWN
  1152, // ER_ABORTING_CONNECTION
  1158, // ER_NET_READ_ERROR
  1159, // ER_NET_READ_INTERRUPTED
  1160, // ER_NET_ERROR_ON_WRITE
  1161, // ER_NET_WRITE_INTERRUPTED
  1180, // ER_ERROR_DURING_COMMIT
  1184, // ER_NEW_ABORTING_CONNECTION
  1317, // ER_QUERY_INTERRUPTED
  1927, // ER_CONNECTION_KILLED (MariaDB)
  1969, // ER_STATEMENT_TIMEOUT (MariaDB)
  2006, // CR_SERVER_GONE_ERROR
  2013, // CR_SERVER_LOST
  3024, // ER_QUERY_TIMEOUT
])

/** Whether the server itself says that it has not done a statement. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && "sqlState" in error && !cutShort.has(findErrno(error) ?? 0)
}

// ER_OPTION_PREVENTS_STATEMENT, ER_READ_ONLY_MODE
const readOnlyServer = new Set([1290, 1836])

/** After a failover the connection may lead to what is a replica now; a fresh one leads to the new primary. */
const isOfReplica = (error: unknown) => readOnlyServer.has(findErrno(error) ?? 0)

// SERVER_STATUS_IN_TRANS: https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html
const IN_TRANSACTION = 1

/** Whether the answer to a COMMIT or ROLLBACK says that no transaction is open. */
const isEnd = ({ serverStatus }: ResultSetHeader) => (serverStatus & IN_TRANSACTION) === 0

interface Statements {
  query(...args: unknown[]): Promise<unknown>
  /** No statement follows. Throws the error of the first that failed, even if `work` caught it: the server may have rolled back. */
  end(): void
  /** No statement follows. */
  close(): void
}

/** What drizzle takes for a connection: the statements of one transaction, as long as it is open. */
function openStatements(connection: PoolConnection): Statements {
  const session = connection.promise()
  let isOpen = true
  let failure: { error: unknown } | undefined
  const close = () => {
    isOpen = false
  }
  return {
    query: async (...args) => {
      if (!isOpen)
        throw new Error("a statement came after the end of its transaction: `work` must await each of its own")
      try {
        return await session.query(...(args as [string]))
      } catch (error) {
        failure ??= { error }
        throw error
      }
    },
    end: () => {
      close()
      if (failure) throw failure.error
    },
    close,
  }
}

const bindDatabase = (statements: Statements): Database => drizzle({ client: statements as unknown as Pool })

function poolOf(on: Database | Pool): Pool {
  const client = "$client" in on ? on.$client : on
  if (typeof (client as Partial<Pool> | undefined)?.getConnection === "function") return client as Pool
  throw new Error(
    "a transaction cannot be opened inside another: it would commit that one. Pass the Database of the pool",
  )
}

function takeConnection(pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => {
    pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection)))
  })
}

async function send(connection: PoolConnection, statement: string): Promise<ResultSetHeader> {
  const [header] = await connection.promise().query<ResultSetHeader>(statement)
  return header
}
