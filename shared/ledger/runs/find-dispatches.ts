import { and, asc, eq, inArray } from "drizzle-orm"
import { dispatches, shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

export type Dispatch = typeof dispatches.$inferSelect

export async function findDispatch(db: Database, runId: string, dispatch: number): Promise<Dispatch | undefined> {
  const [row] = await db
    .select()
    .from(dispatches)
    .where(and(eq(dispatches.runId, runId), eq(dispatches.dispatch, dispatch)))
  return row
}

/** All offerings of a run's shards, oldest first. */
export async function listDispatches(db: Database, runId: string): Promise<Dispatch[]> {
  return db.select().from(dispatches).where(eq(dispatches.runId, runId)).orderBy(asc(dispatches.dispatch))
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
