import { and, eq, isNull } from "drizzle-orm"
import { dispatches } from "../../schemas/database/ledger.ts"
import type { Database } from "../database/open-database.ts"

/** Keeps the name of the first execution that was started for a dispatch. */
export async function recordExecution(db: Database, runId: string, dispatch: number, execution: string): Promise<void> {
  await db
    .update(dispatches)
    .set({ execution })
    .where(and(eq(dispatches.runId, runId), eq(dispatches.dispatch, dispatch), isNull(dispatches.execution)))
}
