import { and, eq, sql } from "drizzle-orm"
import { dispatches, runs, shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import type { Range } from "../../range.ts"
import { offeredShard } from "../shards/offer-shards.ts"
import type { Run } from "./find-runs.ts"
import { moveRun } from "./run-transitions.ts"

/**
 * Takes a run whose plan is whole from planning to running: offers its last shard, and says in the same transaction how
 * many the dispatch has. So the report that completes it always comes after. Returns false if the run is not being
 * planned any more.
 */
export async function openRun(db: Database, run: Run, shardCount: number, last: Range): Promise<boolean> {
  const { runId } = run
  return inTransaction(db, async (tx) => {
    const isSame = eq(runs.shardCount, shardCount)
    if (!(await moveRun(tx, run, "open", { plannedAt: sql`NOW(3)` }, isSame))) return false
    await tx.insert(shards).values(offeredShard(runId, shardCount - 1, last))
    await tx
      .update(dispatches)
      .set({ shardCount })
      .where(and(eq(dispatches.runId, runId), eq(dispatches.dispatch, 0)))
    return true
  })
}
