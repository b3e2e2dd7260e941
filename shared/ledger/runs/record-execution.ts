import { and, eq, isNull, or } from "drizzle-orm"
import { dispatches } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

/** Keeps the name of the first execution that was started for a dispatch, or after the one that ended in a pause. */
export async function recordExecution(
  db: Database,
  runId: string,
  dispatch: number,
  execution: string,
  ended?: string,
): Promise<void> {
  const isFirst = isNull(dispatches.execution)
  await db
    .update(dispatches)
    .set({ execution })
    .where(
      and(
        eq(dispatches.runId, runId),
        eq(dispatches.dispatch, dispatch),
        ended === undefined ? isFirst : or(isFirst, eq(dispatches.execution, ended)),
      ),
    )
}
