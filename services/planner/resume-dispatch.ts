import { findDispatchOfRequest } from "../../shared/ledger/find-dispatches.ts"
import { findRun } from "../../shared/ledger/find-runs.ts"
import { deleteRunSubscription } from "../../shared/messages/run-subscription.ts"
import type { RunContext } from "./run-context.ts"
import { findOffer, runDispatch } from "./run-dispatch.ts"
import { readTaskLimits } from "./task-limits.ts"

/** Brings the dispatch that a message opened to the tasks, if it is the one at work and is not with them yet. */
export async function resumeDispatch(context: RunContext, runId: string, requestId: string): Promise<void> {
  const [run, dispatch] = await Promise.all([
    findRun(context.db, runId),
    findDispatchOfRequest(context.db, runId, requestId),
  ])
  if (dispatch && run?.state === "running" && run.dispatch === dispatch.dispatch) {
    const offer = await findOffer(context, run, dispatch)
    if (offer) await runDispatch(context, run, dispatch, await readTaskLimits(context), [offer])
  }
  await releaseSubscription(context, runId)
}

/**
 * Deletes the subscription of a run that is complete by now. The finalizer does so with the verdict, but a request that
 * is delivered again, its planner having died after RunJob, may make it anew while the tasks finish the day.
 */
export async function releaseSubscription(context: RunContext, runId: string): Promise<void> {
  const run = await findRun(context.db, runId)
  if (run?.state === "complete") await deleteRunSubscription(context.pubsub, runId)
}
