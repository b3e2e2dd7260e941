import { and, eq, sql } from "drizzle-orm"
import { dispatches, runs } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import { type Asker, nobody } from "../messages/asker.ts"
import type { Run } from "./find-runs.ts"
import { reofferShards } from "./reoffer-shards.ts"

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
  return db.transaction(async (tx) => {
    const reopened = await tx
      .update(runs)
      .set({ state: "waiting", dispatch, decidedAt: null, verdict: null, announcedAt: null, dispatchError: null })
      .where(
        and(
          eq(runs.runId, run.runId),
          eq(runs.dispatch, run.dispatch),
          eq(runs.state, "incomplete"),
          sql`${runs.announcedAt} IS NOT NULL`,
        ),
      )
    if (matchedRows(reopened) === 0) return false
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
