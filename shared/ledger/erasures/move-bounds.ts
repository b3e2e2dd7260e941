import { and, eq, inArray, isNotNull } from "drizzle-orm"
import { runs, shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import { decidedStates, inStates } from "../runs/run-transitions.ts"

/** A run of which a shard begins at a user, with the dispatch that its rows are of. */
export interface UserBound {
  runId: string
  version: number
  dispatch: number
  key: string
}

/** The runs of a date of which a shard begins at a user. */
export async function listUserBounds(db: Database, date: string, spellings: readonly string[]): Promise<UserBound[]> {
  const found = await db
    .selectDistinct({ runId: runs.runId, version: runs.version, dispatch: runs.dispatch, key: shards.rangeFrom })
    .from(runs)
    .innerJoin(shards, eq(shards.runId, runs.runId))
    .where(and(eq(runs.revenueDate, date), inArray(shards.rangeFrom, [...spellings])))
  return found.map((bound) => ({ ...bound, key: bound.key ?? "" }))
}

/**
 * Moves the end of one shard and the beginning of the next from a user to `nextKey`. Returns false, having changed nothing,
 * if the run has a newer dispatch, has no verdict, or has one that is still to be announced: its tasks, or whoever verifies
 * it, read these bounds.
 */
export async function moveBounds(
  db: Database,
  { runId, dispatch }: { runId: string; dispatch: number },
  spellings: readonly string[],
  nextKey: string,
): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const isSettled = and(eq(runs.dispatch, dispatch), inStates(decidedStates), isNotNull(runs.announcedAt))
    // Locked: no rerun opens the run until the bounds are moved.
    const [run] = await tx
      .select({ runId: runs.runId })
      .from(runs)
      .where(and(eq(runs.runId, runId), isSettled))
      .for("update")
    if (!run) return false
    for (const [column, field] of [
      [shards.rangeFrom, "rangeFrom"],
      [shards.rangeTo, "rangeTo"],
    ] as const) {
      await tx
        .update(shards)
        .set({ [field]: nextKey })
        .where(and(eq(shards.runId, runId), inArray(column, [...spellings])))
    }
    return true
  })
}
