import { DrizzleQueryError } from "drizzle-orm"
import { describe, expect, test } from "vitest"
import { SourceError } from "../../shared/database/read-source.ts"
import { CommitUnknownError, ConfigurationError, PermanentError, StaleEpochError } from "../../shared/errors.ts"
import { isLasting, isTransient } from "../../shared/transient.ts"

/** As the driver makes it of what the server answers. */
function refusal(errno: number, message = "refused", sqlState = "HY000"): Error {
  return Object.assign(new Error(message), {
    errno,
    code: `ER_${errno}`,
    sqlState,
    sqlMessage: message,
    sql: "SELECT 1",
  })
}

/** As the driver makes it of a connection that is lost. */
const lost = (code: string, errno?: number) => Object.assign(new Error(code), { code, errno, fatal: true })

const classify = (error: unknown) => ({ passes: isTransient(error), lasts: isLasting(error) })
const passes = { passes: true, lasts: false }
const lasts = { passes: false, lasts: true }
const isOurs = { passes: false, lasts: false }

/** As statements of ours meet it on a server that is full, busy, stopped, switched over or behind a proxy. */
const passing: [number, string][] = [
  [3, "Error writing file '/tmp/MYfd=33' (OS errno 28 - No space left on device)"],
  [5, "Out of memory (needed 8388608 bytes)"],
  [20, "Disk is full writing '/tmp/MYfd=33'"],
  [1020, "Record has changed since last read in table 'runs'; try restarting transaction"],
  [1021, "Disk full (/tmp); waiting for someone to free some space"],
  [1026, "Error writing file 'revenue_versions' (errno: 28)"],
  [1028, "Sort aborted: Query execution was interrupted"],
  [1037, "Out of memory; restart server and try again"],
  [1040, "Too many connections"],
  [1041, "Out of memory; check if mysqld or some other process uses all available memory"],
  [1047, "WSREP has not yet prepared node for application use"],
  [1053, "Server shutdown in progress"],
  [1077, "Normal shutdown"],
  [1114, "The table 'revenue_versions' is full"],
  [1129, "Host is blocked because of many connection errors"],
  [1135, "Can't create a new thread (errno 11)"],
  [1152, "Aborted connection 7 to db"],
  [1158, "Got an error reading communication packets"],
  [1159, "Got timeout reading communication packets"],
  [1160, "Got an error writing communication packets"],
  [1161, "Got timeout writing communication packets"],
  [1180, "Got error 149 during COMMIT"],
  [1184, "Aborted connection 7 to db (init_connect command failed)"],
  [1203, "User has already more than 'max_user_connections' active connections"],
  [1205, "Lock wait timeout exceeded; try restarting transaction"],
  [1206, "The total number of locks exceeds the lock table size"],
  [1213, "Deadlock found when trying to get lock; try restarting transaction"],
  [1226, "User has exceeded the 'max_questions' resource"],
  [1290, "The MySQL server is running with the --super-read-only option"],
  [1297, "Got temporary error 266 from NDB"],
  [1317, "Query execution was interrupted"],
  [1412, "Table definition has changed, please retry transaction"],
  [1615, "Prepared statement needs to be re-prepared"],
  [1637, "Too many active concurrent transactions"],
  [1689, "Wait on a lock was aborted due to a pending exclusive lock"],
  [1836, "Running in read-only mode"],
  [1878, "Temporary file write failure"],
  [1927, "Connection was killed"],
  [1969, "Query execution was interrupted (max_statement_time exceeded)"],
  [2002, "Can't connect to server on '10.0.0.7'"],
  [2003, "Lost connection to backend server"],
  [2006, "MySQL server has gone away"],
  [2013, "Lost connection to server during query"],
  [3024, "Query execution was interrupted, maximum statement execution time exceeded"],
  [3032, "The server is currently in offline mode"],
  [3100, "Error on observer while running replication hook 'before_commit'"],
  [3101, "Plugin instructed the server to rollback the current transaction"],
  [3168, "Server isn't available"],
  [3169, "Session was killed"],
  [3796, "The option group_replication_consistency cannot be used on the current member state"],
  [3797, "Error while waiting for group transactions commit on group_replication_consistency= 'BEFORE'"],
  [3798, "Error while waiting for transactions with group_replication_consistency= 'AFTER' to commit"],
  [4031, "The client was disconnected by the server because of inactivity"],
  [9001, "Max connect timeout reached while reaching hostgroup 10 after 10000ms"],
]

/** As statements of ours meet it where somebody must do something about it. */
const lasting: [number, string][] = [
  [1030, 'Got error 127 "Undetectable problem" from storage engine InnoDB'],
  [1034, "Incorrect key file for table"],
  [1036, "Table 'runs' is read only"],
  [1038, "Out of sort memory, consider increasing server sort buffer size"],
  [1044, "Access denied for user to database"],
  [1045, "Access denied for user"],
  [1046, "No database selected"],
  [1048, "Column 'user_id' cannot be null"],
  [1049, "Unknown database"],
  [1054, "Unknown column"],
  [1062, "Duplicate entry"],
  [1064, "You have an error in your SQL syntax"],
  [1105, "Unknown error"],
  [1142, "SELECT command denied"],
  [1143, "SELECT command denied for column"],
  [1146, "Table doesn't exist"],
  [1153, "Got a packet bigger than 'max_allowed_packet' bytes"],
  [1176, "Key doesn't exist in table"],
  [1193, "Unknown system variable"],
  [1194, "Table is marked as crashed and should be repaired"],
  [1227, "Access denied; you need the SUPER privilege"],
  [1231, "Variable can't be set to the value"],
  [1264, "Out of range value for column"],
  [1267, "Illegal mix of collations"],
  [1292, "Truncated incorrect value"],
  [1305, "FUNCTION does not exist"],
  [1356, "View references invalid table(s)"],
  [1364, "Field doesn't have a default value"],
  [1365, "Division by 0"],
  [1366, "Incorrect value"],
  [1406, "Data too long for column"],
  [1449, "The user specified as a definer does not exist"],
  [1451, "Cannot delete or update a parent row"],
  [1452, "Cannot add or update a child row"],
  [1526, "Table has no partition for value"],
  [1568, "Transaction characteristics can't be changed while a transaction is in progress"],
  [1665, "Cannot execute statement: BINLOG_FORMAT = STATEMENT"],
  [1690, "BIGINT value is out of range"],
  [1712, "Index is corrupted"],
  [1792, "Cannot execute statement in a READ ONLY transaction"],
  [1820, "You must reset your password"],
  [1932, "Table doesn't exist in engine"],
  [3098, "The table does not comply with the requirements by an external plugin"],
  [3140, "Invalid JSON text"],
  [3159, "Connections using insecure transport are prohibited"],
]

describe("an error that a server answers with", () => {
  test.each(passing)("%i passes: %s", (errno, message) => {
    expect(classify(refusal(errno, message))).toEqual(passes)
  })

  test.each(lasting)("%i lasts: %s", (errno, message) => {
    expect(classify(refusal(errno, message))).toEqual(lasts)
  })

  test("passes where a storage engine's disk is full, though other numbers of engines last", () => {
    for (const said of ["28 - 'No space left on device'", '28 "No space left on device"', "28"]) {
      expect(classify(refusal(1030, `Got error ${said} from storage engine`))).toEqual(passes)
    }
    expect(classify(refusal(1030, "Got error 128 from storage engine"))).toEqual(lasts)
  })

  test("is one or the other, whatever its number", () => {
    const numbers = Array.from({ length: 10_000 }, (_, n) => n + 1)
    const isBothOrNeither = (errno: number) => isTransient(refusal(errno)) === isLasting(refusal(errno))
    expect(numbers.filter(isBothOrNeither)).toEqual([])
  })

  test("is the same under whatever wraps it", () => {
    for (const [errno, expected] of [
      [1205, passes],
      [1142, lasts],
    ] as const) {
      const cause = refusal(errno)
      expect(classify(new DrizzleQueryError("SELECT 1", [], cause))).toEqual(expected)
      expect(classify(new SourceError(new DrizzleQueryError("SELECT 1", [], cause)))).toEqual(expected)
    }
  })
})

test.each([
  ["ECONNREFUSED", -111],
  ["ECONNRESET", -104],
  ["ECONNABORTED", undefined],
  ["EPIPE", -32],
  ["ETIMEDOUT", undefined],
  ["EHOSTUNREACH", -113],
  ["ENETUNREACH", -101],
  ["EAI_AGAIN", -3001],
  ["PROTOCOL_CONNECTION_LOST", undefined],
  ["PROTOCOL_SEQUENCE_TIMEOUT", undefined],
  ["ERR_STREAM_DESTROYED", undefined],
  ["ERR_STREAM_WRITE_AFTER_END", undefined],
])("a connection that is lost by %s passes", (code, errno) => {
  expect(classify(lost(code, errno))).toEqual(passes)
})

test("a connection that is closed when a statement comes passes, as the driver words it", () => {
  expect(classify(new Error("Can't add new command when connection is in closed state"))).toEqual(passes)
})

test("a COMMIT whose answer is missing passes, whatever kept the answer", () => {
  for (const cause of [lost("PROTOCOL_CONNECTION_LOST"), refusal(1317), refusal(1180), new Error("no words for it")]) {
    expect(classify(new CommitUnknownError("unknown", { cause }))).toEqual(passes)
  }
})

test("what is our own neither passes nor lasts, even where a refusal is its cause", () => {
  for (const cause of [undefined, refusal(1205)]) {
    expect(isTransient(new StaleEpochError("stale", { cause }))).toBe(false)
    expect(isTransient(new PermanentError("no", { cause }))).toBe(false)
    expect(isTransient(new ConfigurationError("no", { cause }))).toBe(false)
  }
  expect(classify(new Error("another delivery plans it"))).toEqual(isOurs)
  expect(classify("no error")).toEqual(isOurs)
})

test("a value that cannot be read lasts", () => {
  expect(classify(new SyntaxError("Cannot convert x to a BigInt"))).toEqual(lasts)
})
