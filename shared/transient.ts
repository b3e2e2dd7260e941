import { CommitUnknownError, ConfigurationError, listCauses, PermanentError, StaleEpochError } from "./errors.ts"
import { grpcStatus } from "./google/grpc-status.ts"

// MySQL and MariaDB errors that pass: https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html and
// https://mariadb.com/kb/en/mariadb-error-code-reference/
const transientSqlErrnos = new Set([
  1021, // ER_DISK_FULL
  1037, // ER_OUTOFMEMORY
  1040, // ER_CON_COUNT_ERROR
  1053, // ER_SERVER_SHUTDOWN
  1077, // ER_NORMAL_SHUTDOWN
  1114, // ER_RECORD_FILE_FULL
  1129, // ER_HOST_IS_BLOCKED
  1152, // ER_ABORTING_CONNECTION
  1203, // ER_TOO_MANY_USER_CONNECTIONS
  1205, // ER_LOCK_WAIT_TIMEOUT
  1206, // ER_LOCK_TABLE_FULL
  1213, // ER_LOCK_DEADLOCK
  1226, // ER_USER_LIMIT_REACHED: the user's own limit, such as MAX_USER_CONNECTIONS
  1290, // ER_OPTION_PREVENTS_STATEMENT: read-only during a failover
  1317, // ER_QUERY_INTERRUPTED
  1836, // ER_READ_ONLY_MODE
  1927, // ER_CONNECTION_KILLED (MariaDB)
  1969, // ER_STATEMENT_TIMEOUT (MariaDB)
  3024, // ER_QUERY_TIMEOUT
  3032, // ER_SERVER_OFFLINE_MODE
  3100, // ER_RUN_HOOK_ERROR: group replication lets nobody commit for the moment
  3101, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT
  4031, // ER_CLIENT_INTERACTION_TIMEOUT
])

const transientNetworkCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EAI_AGAIN",
  "PROTOCOL_CONNECTION_LOST",
  "PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR",
  "PROTOCOL_ENQUEUE_AFTER_QUIT",
  "PROTOCOL_SEQUENCE_TIMEOUT",
  "POOL_CLOSED",
  "ERR_STREAM_PREMATURE_CLOSE",
])

const { deadlineExceeded, resourceExhausted, aborted, internal, unavailable } = grpcStatus
const transientGrpcCodes = new Set<number>([deadlineExceeded, resourceExhausted, aborted, internal, unavailable])

const transientHttpStatuses = new Set([408, 429, 500, 502, 503, 504])

/**
 * Whether a server has refused, or a value cannot be read, so that the same call will fail again until somebody changes
 * something: no privilege, a column that is gone, a number that is none. What is neither this nor transient is our own,
 * such as a run that somebody else is at work on.
 */
export function isLasting(error: unknown): boolean {
  if (isTransient(error)) return false
  return listCauses(error).some((cause) => {
    const { errno, code } = cause as { errno?: unknown; code?: unknown }
    const isRefusal = (typeof errno === "number" && "sqlState" in cause) || typeof code === "number"
    return isRefusal || cause instanceof TypeError || cause instanceof RangeError || cause instanceof SyntaxError
  })
}

/** Whether the same call may succeed a moment later. Looks at causes too: drizzle and the clients wrap. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof StaleEpochError || error instanceof PermanentError || error instanceof ConfigurationError) {
    return false
  }
  if (error instanceof CommitUnknownError) return true
  const { errno, code } = error as { errno?: unknown; code?: unknown }
  if (typeof errno === "number" && errno > 0 && "sqlState" in error) return transientSqlErrnos.has(errno)
  if (typeof code === "string" && transientNetworkCodes.has(code)) return true
  if (typeof code === "number" && (code < 100 ? transientGrpcCodes : transientHttpStatuses).has(code)) return true
  if (/socket hang up|premature close|closed state|connection is in closed/i.test(error.message)) return true
  return error.cause !== undefined && isTransient(error.cause)
}
