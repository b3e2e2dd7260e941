import { isNotNull, sql } from "drizzle-orm"
import { dispatches, runs } from "../../../schemas/database/ledger.ts"
import { type Asker, nobody } from "../../asker.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import { reofferShards } from "../shards/reoffer-shards.ts"
import type { Run } from "./find-runs.ts"
import { moveRun } from "./run-transitions.ts"

/**
 * Opens the next dispatch of an incomplete run, which waits for its turn. Returns false, having changed nothing,
 * if the run is not (any more) incomplete after this dispatch with its verdict announced.
 */
export async function openNextDispatch(
  db: Database,
  run: Run,
  requestId: string,
  indexes: number[],
  asker: Asker = nobody,
): Promise<boolean> {
  const dispatch = run.dispatch + 1
  return inTransaction(db, async (tx) => {
    const undecided = { decidedAt: null, verdict: null, announcedAt: null, dispatchError: null }
    const isAnnounced = isNotNull(runs.announcedAt)
    if (!(await moveRun(tx, run, "rerun", { ...undecided, dispatch }, isAnnounced))) return false
    await tx.insert(dispatches).values({
      runId: run.runId,
      dispatch,
      requestId,
      shardCount: indexes.length,
      ...asker,
      openedAt: sql`NOW(3)`,
    })
    await reofferShards(tx, run.runId, indexes, dispatch)
    return true
  })
}
