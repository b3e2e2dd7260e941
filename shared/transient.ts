import { CommitUnknownError, ConfigurationError, listCauses, PermanentError, StaleEpochError } from "./errors.ts"
import { grpcStatus } from "./google/grpc-status.ts"

// MySQL and MariaDB errors that pass: https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html and
// https://mariadb.com/kb/en/mariadb-error-code-reference/. What is not here lasts.
const transientSqlErrnos = new Set([
  // The server has no room: disk, memory, connections, threads, limits of the account.
  3, // EE_WRITE: a temporary file
  5, // EE_OUTOFMEMORY
  20, // EE_DISK_FULL
  1021, // ER_DISK_FULL
  1026, // ER_ERROR_ON_WRITE
  1037, // ER_OUTOFMEMORY
  1040, // ER_CON_COUNT_ERROR
  1041, // ER_OUT_OF_RESOURCES
  1114, // ER_RECORD_FILE_FULL
  1129, // ER_HOST_IS_BLOCKED
  1135, // ER_CANT_CREATE_THREAD
  1203, // ER_TOO_MANY_USER_CONNECTIONS
  1206, // ER_LOCK_TABLE_FULL
  1226, // ER_USER_LIMIT_REACHED: the user's own limit, such as MAX_USER_CONNECTIONS
  1637, // ER_TOO_MANY_CONCURRENT_TRXS
  1878, // ER_TEMP_FILE_WRITE_FAILURE
  // Others are at work with the same rows or tables.
  1020, // ER_CHECKREAD: a row has changed since the snapshot (MariaDB 11.6 and newer)
  1205, // ER_LOCK_WAIT_TIMEOUT
  1213, // ER_LOCK_DEADLOCK: of a cluster, that another node has committed first
  1412, // ER_TABLE_DEF_CHANGED: a table was altered after the snapshot
  1615, // ER_NEED_REPREPARE: under a view
  1689, // ER_LOCK_ABORTED
  // The server, its cluster or a proxy in front stops, starts, or changes its primary.
  1047, // ER_UNKNOWN_COM_ERROR: Galera's for a node that is not part of its cluster
  1053, // ER_SERVER_SHUTDOWN
  1077, // ER_NORMAL_SHUTDOWN
  1180, // ER_ERROR_DURING_COMMIT
  1290, // ER_OPTION_PREVENTS_STATEMENT: read-only during a failover
  1297, // ER_GET_TEMPORARY_ERRMSG
  1836, // ER_READ_ONLY_MODE
  3032, // ER_SERVER_OFFLINE_MODE
  3100, // ER_RUN_HOOK_ERROR: group replication lets nobody commit for the moment
  3101, // ER_TRANSACTION_ROLLBACK_DURING_COMMIT
  3168, // ER_SERVER_ISNT_AVAILABLE
  3796, // ER_GRP_TRX_CONSISTENCY_NOT_ALLOWED: a member that recovers
  3797, // ER_GRP_TRX_CONSISTENCY_BEFORE
  3798, // ER_GRP_TRX_CONSISTENCY_AFTER_ON_TRX_BEGIN
  9001, // ProxySQL has had no server to connect to for too long
  // The statement or its connection was ended.
  1028, // ER_FILSORT_ABORT
  1152, // ER_ABORTING_CONNECTION
  1158, // ER_NET_READ_ERROR
  1159, // ER_NET_READ_INTERRUPTED
  1160, // ER_NET_ERROR_ON_WRITE
  1161, // ER_NET_WRITE_INTERRUPTED
  1184, // ER_NEW_ABORTING_CONNECTION
  1317, // ER_QUERY_INTERRUPTED
  1927, // ER_CONNECTION_KILLED (MariaDB)
  1969, // ER_STATEMENT_TIMEOUT (MariaDB)
  3024, // ER_QUERY_TIMEOUT
  3169, // ER_SESSION_WAS_KILLED
  4031, // ER_CLIENT_INTERACTION_TIMEOUT
  // Those of a client, which a proxy passes on: CR_CONNECTION_ERROR, CR_CONN_HOST_ERROR, CR_SERVER_GONE_ERROR, CR_SERVER_LOST
  2002,
  2003,
  2006,
  2013,
])

// ER_GET_ERRNO passes on what the storage engine says: 28 is a full disk, and others tell of a broken table.
const ENGINE_ERROR = 1030
const FULL_DISK = /\berror:? 28\b|No space left/i

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
  "ERR_STREAM_DESTROYED",
  "ERR_STREAM_WRITE_AFTER_END",
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
  if (typeof errno === "number" && errno > 0 && "sqlState" in error) {
    return transientSqlErrnos.has(errno) || (errno === ENGINE_ERROR && FULL_DISK.test(error.message))
  }
  if (typeof code === "string" && transientNetworkCodes.has(code)) return true
  if (typeof code === "number" && (code < 100 ? transientGrpcCodes : transientHttpStatuses).has(code)) return true
  if (/socket hang up|premature close|closed state|connection is in closed/i.test(error.message)) return true
  return error.cause !== undefined && isTransient(error.cause)
}
