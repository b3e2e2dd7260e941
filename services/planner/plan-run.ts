import { findDispatch } from "../../shared/ledger/runs/find-dispatches.ts"
import type { Run } from "../../shared/ledger/runs/find-runs.ts"
import { planShards } from "./plan-shards.ts"
import { releaseSubscription } from "./resume-dispatch.ts"
import type { RunContext } from "./run-context.ts"
import { runDispatch } from "./run-dispatch.ts"
import { readTaskLimits } from "./task-limits.ts"

/** Cuts the run into shards and brings them to the tasks as it goes. */
export async function planRun(context: RunContext, run: Run): Promise<void> {
  const [countTasks, begun] = await Promise.all([readTaskLimits(context), findDispatch(context.db, run.runId, 0)])
  const dispatch = begun ?? { dispatch: 0, requestId: run.requestId, execution: null }
  const offers = planShards(context, run, countTasks(Number.POSITIVE_INFINITY))
  await runDispatch(context, run, dispatch, countTasks, offers)
  await releaseSubscription(context, run.runId)
}
