import { and, eq, gt, inArray } from "drizzle-orm"
import { dispatches, runs } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

/** The dispatch that a message opened. */
export interface RequestedDispatch {
  runId: string
  dispatch: number
}

/** The run that a run request became: of one of these dates, for "yesterday" is resolved by the planner. */
export async function findRunOfRequest(
  db: Database,
  messageId: string,
  dates: string[],
): Promise<RequestedDispatch | undefined> {
  const [run] = await db
    .select({ runId: runs.runId })
    .from(runs)
    .where(and(inArray(runs.revenueDate, dates), eq(runs.requestId, messageId)))
  return run && { runId: run.runId, dispatch: 0 }
}

/** The dispatch that a rerun request opened, of a run of one of these dates. */
export async function findDispatchOfRerun(
  db: Database,
  messageId: string,
  dates: string[],
): Promise<RequestedDispatch | undefined> {
  const [dispatch] = await db
    .select({ runId: dispatches.runId, dispatch: dispatches.dispatch })
    .from(runs)
    .innerJoin(dispatches, eq(dispatches.runId, runs.runId))
    // Message ids are unique in a topic only: dispatch 0 was opened by a message to another.
    .where(and(inArray(runs.revenueDate, dates), eq(dispatches.requestId, messageId), gt(dispatches.dispatch, 0)))
  return dispatch
}
