import { describeError, listCauses } from "../errors.ts"
import { isOfSource } from "./read-source.ts"

/**
 * One sentence for the person who set DATABASE_URL, or SOURCE_DATABASE_URL where it came from there: what is wrong and
 * what to do. Undefined if the error is none that they can put right.
 */
export function explainDatabaseError(error: unknown, url: string, sourceUrl?: string): string | undefined {
  return sourceUrl !== undefined && isOfSource(error)
    ? explainOf(error, "SOURCE_DATABASE_URL", sourceUrl)
    : explainOf(error, "DATABASE_URL", url)
}

function explainOf(error: unknown, variable: "DATABASE_URL" | "SOURCE_DATABASE_URL", url: string): string | undefined {
  const place = readUrl(url)
  if (!place)
    return `${variable} cannot be read: in a user or password, special characters are written as in %40 for @.`
  const { server, user, database, host } = place
  switch (codeOf(error) ?? "") {
    case "ECONNREFUSED":
      return `No database answers at ${server}: start it, or correct ${variable}.`
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `The database's host ${host} cannot be found: correct ${variable}.`
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `The database at ${server} cannot be reached: check the network and its firewall, or correct ${variable}.`
    case "PROTOCOL_CONNECTION_LOST":
    case "ECONNRESET":
      return `The database at ${server} ended the connection: try again, and look at its log if that does not help.`
    case "ER_ACCESS_DENIED_ERROR":
    case "ER_ACCESS_DENIED_NO_PASSWORD_ERROR":
      if (isOfStatement(error)) return explainView(error, database)
      return `The database at ${server} refuses the user "${user}" with this password: correct ${variable}; if the account requires an encrypted connection, add ?ssl-mode=REQUIRED to it.`
    case "ER_SECURE_TRANSPORT_REQUIRED":
      return `The database at ${server} takes encrypted connections only: add ?ssl-mode=REQUIRED to ${variable}, or VERIFY_CA with ssl-ca=FILE.`
    case "HANDSHAKE_NO_SSL_SUPPORT":
      return `The database at ${server} has no encrypted connections: take ssl-mode out of ${variable}, or set a certificate up there.`
    case "HANDSHAKE_SSL_ERROR":
      return `The certificate of the database at ${server} is not proven by ssl-mode and ssl-ca of ${variable} (${describeError(error)}): correct them.`
    case "ER_ACCOUNT_HAS_BEEN_LOCKED":
      return `The account of the user "${user}" at ${server} is locked: unlock it (ALTER USER … ACCOUNT UNLOCK), or correct ${variable}.`
    case "ER_MUST_CHANGE_PASSWORD":
    case "ER_MUST_CHANGE_PASSWORD_LOGIN":
      return `The password of the user "${user}" at ${server} has expired: set another (ALTER USER … IDENTIFIED BY …), and correct ${variable}.`
    case "AUTH_SWITCH_PLUGIN_ERROR":
      return `The user "${user}" at ${server} signs in by a method that is not known here (${describePlugin(error)}): give the account another, such as caching_sha2_password or mysql_native_password, or correct ${variable}.`
    case "ER_MAX_PREPARED_STMT_COUNT_REACHED":
      return `The database at ${server} has no prepared statement to spare (${describeError(error)}): whoever leaves so many open must close them, or raise max_prepared_stmt_count; then try again.`
    case "ER_BAD_DB_ERROR":
      return `There is no database "${database}" at ${server}: create it, or correct ${variable}.`
    case "ER_DBACCESS_DENIED_ERROR":
    case "ER_TABLEACCESS_DENIED_ERROR":
    case "ER_SPECIFIC_ACCESS_DENIED_ERROR":
      return `The user "${user}" may not do this in the database "${database}" (${describeError(error)}): grant it.`
    case "ER_BINLOG_STMT_MODE_AND_ROW_ENGINE":
      return `The database at ${server} logs statements, by which nothing can be written at READ COMMITTED: SET GLOBAL binlog_format = 'ROW', or 'MIXED'.`
    case "ER_NO_SUCH_USER":
    case "ER_VIEW_INVALID":
      return explainView(error, database)
    case "ER_NO_SUCH_TABLE":
    case "ER_BAD_FIELD_ERROR":
      return explainMissing(error, variable, database)
    default:
      return undefined
  }
}

/** The driver's own sentence has more words than sense. */
function describePlugin(error: unknown): string {
  const said = describeError(error)
  return /unknown plugin (\w+)/.exec(said)?.[1] ?? said
}

function explainView(error: unknown, database: string): string {
  return `The view revenue in the database "${database}" reads by the rights of an account that is gone or may not read any more (${describeError(error)}): run npm run migrate.`
}

/** Who was let in is denied access only by what a view reads for them. */
function isOfStatement(error: unknown): boolean {
  return listCauses(error).some((cause) => typeof (cause as { sql?: unknown }).sql === "string")
}

function explainMissing(error: unknown, variable: string, database: string): string {
  const reason = describeError(error)
  if (variable !== "DATABASE_URL")
    return `The database "${database}" has no such shop (${reason}): correct ${variable}.`
  return codeOf(error) === "ER_NO_SUCH_TABLE"
    ? `The database "${database}" lacks a table of Daybook's (${reason}): run npm run migrate.`
    : `The database "${database}" has tables of another version of Daybook (${reason}): run npm run migrate.`
}

function readUrl(url: string): { server: string; host: string; user: string; database: string } | undefined {
  try {
    const { hostname, port, username, password, pathname } = new URL(url)
    // Throws if it cannot be: so does the driver.
    decodeURIComponent(password)
    return {
      host: hostname,
      server: `${hostname}:${port || 3306}`,
      user: decodeURIComponent(username),
      database: decodeURIComponent(pathname.slice(1)),
    }
  } catch {
    return undefined
  }
}

// MariaDB's own numbers, for which the driver has no name: https://mariadb.com/kb/en/mariadb-error-code-reference/
const mariaDbCodes: Record<number, string> = { 4151: "ER_ACCOUNT_HAS_BEEN_LOCKED" }

/** drizzle wraps the error that tells, and Node bundles one for each address that it tried. */
function codeOf(error: unknown): string | undefined {
  for (const cause of listCauses(error)) {
    const { code, errno } = cause as { code?: unknown; errno?: number }
    const known = mariaDbCodes[errno ?? 0]
    if (known !== undefined) return known
    // mysql2's codes are names; those of the Google clients are numbers.
    if (typeof code === "string") return isOfDatabase(cause) ? code : undefined
    if (cause instanceof AggregateError) return codeOf(cause.errors[0])
  }
  return undefined
}

function isOfDatabase(error: Error): boolean {
  const { code, fatal, sqlState } = error as { code?: string; fatal?: boolean; sqlState?: string }
  return sqlState !== undefined || fatal !== undefined || code === "ETIMEDOUT"
}
