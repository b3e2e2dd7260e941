import { and, eq, inArray, isNull, sql } from "drizzle-orm"
import { dispatches, runs, shards } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import type { Run } from "./runs.ts"
import { reofferShard } from "./shards.ts"

export type Dispatch = typeof dispatches.$inferSelect

export async function findDispatch(db: Database, runId: string, dispatch: number): Promise<Dispatch | undefined> {
  const [row] = await db
    .select()
    .from(dispatches)
    .where(and(eq(dispatches.runId, runId), eq(dispatches.dispatch, dispatch)))
  return row
}

/** The dispatch that a message opened: the same message again must not open another. */
export async function findDispatchOfRequest(
  db: Database,
  runId: string,
  requestId: string,
): Promise<Dispatch | undefined> {
  const [row] = await db
    .select()
    .from(dispatches)
    .where(and(eq(dispatches.runId, runId), eq(dispatches.requestId, requestId)))
  return row
}

/**
 * Opens the next dispatch of an incomplete run, and takes it back to running. Returns false, having changed nothing,
 * if the run is not (any more) incomplete after this dispatch with its verdict announced.
 */
export async function openNextDispatch(db: Database, run: Run, requestId: string, indexes: number[]): Promise<boolean> {
  const dispatch = run.dispatch + 1
  return db.transaction(async (tx) => {
    const reopened = await tx
      .update(runs)
      .set({ state: "running", dispatch, decidedAt: null, verdict: null, announcedAt: null })
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
      openedAt: sql`NOW(3)`,
    })
    for (const [position, index] of indexes.entries()) await reofferShard(tx, run.runId, index, dispatch, position)
    return true
  })
}

/** Keeps the name of the first execution that was started for a dispatch. */
export async function recordExecution(db: Database, runId: string, dispatch: number, execution: string): Promise<void> {
  await db
    .update(dispatches)
    .set({ execution })
    .where(and(eq(dispatches.runId, runId), eq(dispatches.dispatch, dispatch), isNull(dispatches.execution)))
}

/**
 * Every execution known to work on a dispatch: the one recorded for it, and those that hold claims. RunJob may have
 * started one and failed to say so.
 */
export async function listExecutions(db: Database, runId: string, dispatch: number): Promise<string[]> {
  const recorded = await findDispatch(db, runId, dispatch)
  const claiming = await db
    .selectDistinct({ execution: shards.execution })
    .from(shards)
    .where(
      and(eq(shards.runId, runId), eq(shards.dispatch, dispatch), inArray(shards.state, ["claimed", "done", "failed"])),
    )
  const names = [recorded?.execution, ...claiming.map((row) => row.execution)]
  return [...new Set(names.filter((name) => name !== null && name !== undefined))]
}
