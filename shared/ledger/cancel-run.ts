import { and, eq, inArray, sql } from "drizzle-orm"
import { type RunState, runs } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import { inTransaction } from "../database/transaction.ts"
import { closeShards } from "./close-run.ts"
import type { Run } from "./find-runs.ts"

/** In which a run can be given up: it is not yet being verified. */
export const cancellableStates: RunState[] = ["waiting", "planning", "running"]

/**
 * Gives a run up that is not yet being verified, and fences every shard that nobody finished: nothing is written under its
 * version any more, and its date is free. Returns false if it is not (any more) what it was.
 */
export async function cancelRun(db: Database, run: Run, verdict: string): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const cancelled = await tx
      .update(runs)
      .set({ state: "cancelled", verdict, decidedAt: sql`NOW(3)`, announcedAt: null })
      .where(and(eq(runs.runId, run.runId), eq(runs.dispatch, run.dispatch), inArray(runs.state, cancellableStates)))
    if (matchedRows(cancelled) === 0) return false
    await closeShards(tx, run.runId)
    return true
  })
}
