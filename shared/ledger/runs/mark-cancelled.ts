import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import { closeShards } from "./close-run.ts"
import type { Run } from "./find-runs.ts"
import { decided, moveRun } from "./run-transitions.ts"

/**
 * Cancels a run that is not yet being verified, and fences every shard that nobody finished: nothing is written under its
 * version any more, and its date is free. Returns false if it is not (any more) what it was.
 */
export async function cancelRun(db: Database, run: Run, verdict: string): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    if (!(await moveRun(tx, run, "cancel", decided(verdict)))) return false
    await closeShards(tx, run.runId)
    return true
  })
}
