import type { Database } from "../../shared/database/open-database.ts"
import { readReplicaLag } from "../../shared/database/replica-lag.ts"

/**
 * Throws if the shop is read from a replica that has not got to the end of the day yet: a day planned, computed and verified
 * from it would be whole by all that can be seen there, and lack its last purchases. The request is delivered again.
 */
export async function checkReplica(shopDb: Database, day: { date: string; toAt: Date }, now: Date): Promise<void> {
  const lag = await readReplicaLag(shopDb)
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
