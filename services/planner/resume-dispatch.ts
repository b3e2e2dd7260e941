import { clearRunPaused, findPause } from "../../shared/ledger/pauses/pause.ts"
import { findDispatch } from "../../shared/ledger/runs/find-dispatches.ts"
import { findRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import { deleteRunSubscription } from "../../shared/messages/run-subscription.ts"
import type { RunContext } from "./run-context.ts"
import { findOffer, runDispatch } from "./run-dispatch.ts"
import { readTaskLimits } from "./task-limits.ts"

/** Brings the newest dispatch of a run to the tasks, if it is at work and not with them yet. */
export async function resumeDispatch(context: RunContext, run: Run): Promise<void> {
  const dispatch = await findDispatch(context.db, run.runId, run.dispatch)
  if (dispatch && run.state === "running") {
    const isStopped = run.pausedAt !== null && (await findPause(context.db)) === undefined
    // Tasks have ended because of a pause: what they left is brought to others.
    const sent = isStopped ? { ...dispatch, execution: null, ended: dispatch.execution ?? undefined } : dispatch
    const offer = await findOffer(context, run, sent)
    if (offer) await runDispatch(context, run, sent, await readTaskLimits(context), [offer])
    if (isStopped) await clearRunPaused(context.db, run)
  }
  await releaseSubscription(context, run.runId)
}

/**
 * Deletes the subscription of a run that is complete, or cancelled, by now. The finalizer does so with the verdict, but a request that
 * is delivered again, its planner having died after RunJob, may make it anew while the tasks finish the day.
 */
export async function releaseSubscription(context: RunContext, runId: string): Promise<void> {
  const run = await findRun(context.db, runId)
  if (run?.state === "complete" || run?.state === "cancelled") await deleteRunSubscription(context.pubsub, runId)
}
