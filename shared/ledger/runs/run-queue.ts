import { and, asc, eq, sql } from "drizzle-orm"
import { dispatches, runs } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { isOfBackfill, type Run } from "./find-runs.ts"
import { inStates, queuedStates } from "./run-transitions.ts"

/** A run that has a slot, or waits for one. */
export type QueuedRun = Pick<Run, "runId" | "state" | "backfillId">

/** Every run that has a slot or waits for one, oldest request first. A rerun is as old as its own request. */
export async function listQueue(db: Database): Promise<QueuedRun[]> {
  return db
    .select({ runId: runs.runId, state: runs.state, backfillId: runs.backfillId })
    .from(runs)
    .leftJoin(dispatches, and(eq(dispatches.runId, runs.runId), eq(dispatches.dispatch, runs.dispatch)))
    .where(inStates(queuedStates))
    .orderBy(asc(sql`COALESCE(${dispatches.openedAt}, ${runs.requestedAt})`), asc(runs.runId))
}

/**
 * The waiting runs for which there are slots now. Oldest request first. Runs of backfills come last, but one of several slots
 * is reserved for them, so that a backfill comes to its end while other runs keep waiting. The queue alone decides: whoever
 * asks for a slot gets it only if it is in this list, so nobody overtakes a run whose message is late or lost.
 */
export function pickNextRuns(queue: QueuedRun[], runsMax: number): QueuedRun[] {
  const { backfills, others } = splitWaiting(queue)
  const atWork = queue.filter(({ state }) => state !== "waiting")
  const isReserved = runsMax > 1 && !atWork.some(isOfBackfill)
  const reserved = isReserved ? backfills.slice(0, 1) : []
  const inOrder = [...reserved, ...others, ...backfills.slice(reserved.length)]
  return inOrder.slice(0, Math.max(0, runsMax - atWork.length))
}

/**
 * The runs to try to start, oldest request first: so many of each kind. Only the planner knows RUNS_MAX, and it may have a
 * slot for a backfill though many other runs wait.
 */
export async function listWaitingRuns(db: Database, limit: number): Promise<Pick<Run, "runId">[]> {
  const { backfills, others } = splitWaiting(await listQueue(db))
  return [...others.slice(0, limit), ...backfills.slice(0, limit)].map(({ runId }) => ({ runId }))
}

function splitWaiting(queue: QueuedRun[]) {
  const waiting = queue.filter(({ state }) => state === "waiting")
  const { backfills = [], others = [] } = Object.groupBy(waiting, (run) => (isOfBackfill(run) ? "backfills" : "others"))
  return { backfills, others }
}
