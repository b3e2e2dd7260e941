import { sql } from "drizzle-orm"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { findErrno } from "../../shared/errors.ts"

/** How far a source is behind the server that the shop writes to, as far as it says. */
type Lag =
  | { kind: "seconds"; seconds: number }
  /** It is a replica, and nothing comes from the other server. */
  | { kind: "stopped" }
  /** It is no replica, or does not tell this user. */
  | { kind: "unknown" }

// ER_PARSE_ERROR: older than the statement (MySQL 8.0.22, MariaDB 10.5). ER_SPECIFIC_ACCESS_DENIED_ERROR: it takes
// REPLICATION CLIENT, or in MariaDB REPLICA MONITOR.
const notTold = new Set([1064, 1227])

/**
 * Throws if the source is a replica that has not got to the end of the day yet: a day planned, computed and verified
 * from it would be whole by all that can be seen there, and lack its last purchases. The request is delivered again.
 */
export async function checkReplica(source: Database, day: { date: string; toAt: Date }, now: Date): Promise<void> {
  const lag = await readLag(source)
  if (lag.kind === "unknown") return
  if (lag.kind === "stopped") {
    throw new Error(
      `the replica that the shop is read from gets nothing from its source, so it may lack purchases of ${day.date}: look at its SHOW REPLICA STATUS`,
    )
  }
  if (now.getTime() - lag.seconds * 1000 >= day.toAt.getTime()) return
  throw new Error(
    `the replica that the shop is read from is ${lag.seconds} s behind and has not got to the end of ${day.date}: the request comes again`,
  )
}

interface StatusRow {
  /** MySQL. */
  Seconds_Behind_Source?: string | null
  /** MariaDB. */
  Seconds_Behind_Master?: string | null
}

/** The most of all channels that it replicates from: https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html */
async function readLag(source: Database): Promise<Lag> {
  let rows: StatusRow[]
  try {
    rows = allRows<StatusRow>(await source.execute(sql`SHOW REPLICA STATUS`))
  } catch (error) {
    const errno = findErrno(error)
    if (errno !== undefined && notTold.has(errno)) return { kind: "unknown" }
    throw error
  }
  if (rows.length === 0) return { kind: "unknown" }
  const seconds = rows.map((row) => row.Seconds_Behind_Source ?? row.Seconds_Behind_Master ?? null)
  return seconds.includes(null) ? { kind: "stopped" } : { kind: "seconds", seconds: Math.max(...seconds.map(Number)) }
}
