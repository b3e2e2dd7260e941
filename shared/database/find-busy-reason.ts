import { sql } from "drizzle-orm"
import { allRows, type Database } from "./open-database.ts"
import { readReplicaLag } from "./replica-lag.ts"

/** When the database that the shop is in has no time for this; what is undefined is not asked. */
export interface ThrottleSettings {
  /** More threads than this are running there, Daybook's own not counted. */
  threadsRunning: number | undefined
  /** It is a replica, and so many seconds behind. */
  replicaLagSeconds: number | undefined
  /** A SELECT of one number: above 0 means wait. */
  query: string | undefined
  /** A task, a verification or an audit that has waited for so many minutes in all continues whatever is said. */
  minutesMax: number
}

/** When to wait for the shop's server, by the environment: throttleSettings in shared/config/settings.ts. */
export function readThrottle(config: {
  THROTTLE_THREADS_RUNNING?: number | undefined
  THROTTLE_REPLICA_LAG_SECONDS?: number | undefined
  THROTTLE_QUERY?: string | undefined
  THROTTLE_MINUTES_MAX: number
}): ThrottleSettings {
  return {
    threadsRunning: config.THROTTLE_THREADS_RUNNING,
    replicaLagSeconds: config.THROTTLE_REPLICA_LAG_SECONDS,
    query: config.THROTTLE_QUERY,
    minutesMax: config.THROTTLE_MINUTES_MAX,
  }
}

/** Why to wait: of which kind it is, and a sentence. */
export interface BusyReason {
  kind: "threads_running" | "replica_lag" | "query" | "failed_look"
  text: string
}

/** Why to wait; undefined if there is no need. As gh-ost asks: https://github.com/github/gh-ost/blob/master/doc/throttle.md */
export async function findBusyReason(shopDb: Database, settings: ThrottleSettings): Promise<BusyReason | undefined> {
  const { threadsRunning, replicaLagSeconds, query } = settings
  if (threadsRunning !== undefined) {
    const running = await countOthersRunning(shopDb)
    if (running > threadsRunning) {
      return { kind: "threads_running", text: `${running} threads are running, more than ${threadsRunning}` }
    }
  }
  if (replicaLagSeconds !== undefined) {
    const lag = await readReplicaLag(shopDb)
    if (lag.kind === "stopped") return { kind: "replica_lag", text: "the replica gets nothing from its source" }
    if (lag.kind === "seconds" && lag.seconds > replicaLagSeconds) {
      return { kind: "replica_lag", text: `the replica is ${lag.seconds} s behind, more than ${replicaLagSeconds}` }
    }
  }
  if (query !== undefined) {
    const [row] = allRows<Record<string, unknown>>(await shopDb.execute(sql.raw(query)))
    const [value] = Object.values(row ?? {})
    if (Number(value) > 0) return { kind: "query", text: `THROTTLE_QUERY says ${String(value)}` }
  }
  return undefined
}

/** Threads that are running, but those of this account: an account sees its own without any privilege. */
async function countOthersRunning(shopDb: Database): Promise<number> {
  const [status] = allRows<{ Value: string }>(await shopDb.execute(sql`SHOW GLOBAL STATUS LIKE 'Threads_running'`))
  const [me] = allRows<{ name: string }>(await shopDb.execute(sql`SELECT SUBSTRING_INDEX(USER(), '@', 1) AS name`))
  const threads = allRows<{ User: string; Command: string }>(await shopDb.execute(sql`SHOW PROCESSLIST`))
  const own = threads.filter(({ User, Command }) => User === me?.name && Command !== "Sleep").length
  return Math.max(0, Number(status?.Value ?? 0) - own)
}
