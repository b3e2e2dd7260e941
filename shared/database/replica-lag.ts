import { sql } from "drizzle-orm"
import { findErrno } from "../errors.ts"
import { allRows, type Database } from "./open-database.ts"

/** How far a server is behind the one that the shop writes to, as far as it says. */
export type ReplicaLag =
  | { kind: "seconds"; seconds: number }
  /** It is a replica, and nothing comes from the other server. */
  | { kind: "stopped" }
  /** It is no replica, or does not tell this user. */
  | { kind: "unknown" }

// ER_PARSE_ERROR: older than the statement (MySQL 8.0.22, MariaDB 10.5). ER_SPECIFIC_ACCESS_DENIED_ERROR: it takes
// REPLICATION CLIENT, or in MariaDB REPLICA MONITOR.
const notTold = new Set([1064, 1227])

interface StatusRow {
  /** MySQL. */
  Seconds_Behind_Source?: string | null
  /** MariaDB. */
  Seconds_Behind_Master?: string | null
}

/** The most of all channels that it replicates from: https://dev.mysql.com/doc/refman/8.4/en/show-replica-status.html */
export async function readReplicaLag(source: Database): Promise<ReplicaLag> {
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
