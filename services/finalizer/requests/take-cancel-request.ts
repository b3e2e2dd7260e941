import type { ExecutionsClient } from "@google-cloud/run"
import { VerdictSchema } from "../../../schemas/documents/verdict_pb.ts"
import { parseDocument, parseJson } from "../../../schemas/json.ts"
import { CancelRequestSchema } from "../../../schemas/messages/cancel_request_pb.ts"
import { readAsker } from "../../../shared/asker.ts"
import { PermanentError } from "../../../shared/errors.ts"
import { hasStatus } from "../../../shared/google/grpc-status.ts"
import {
  endBackfill,
  findBackfill,
  findRunOfDay,
  listAskedDays,
  moveBackfillDay,
} from "../../../shared/ledger/backfills/backfills.ts"
import { listExecutions } from "../../../shared/ledger/runs/find-dispatches.ts"
import { listCancelledRuns, type Run } from "../../../shared/ledger/runs/find-runs.ts"
import { cancelRun } from "../../../shared/ledger/runs/mark-cancelled.ts"
import { cancellableStates } from "../../../shared/ledger/runs/run-transitions.ts"
import { findRequestedRun } from "../../../shared/messages/find-requested-run.ts"
import type { PushMessage } from "../../../shared/messages/push-server.ts"
import { type RejectionContext, refuseAgain, rejectOrThrow } from "../../../shared/messages/reject-request.ts"
import { topics } from "../../../shared/messages/topics.ts"
import { retryTransient } from "../../../shared/retry.ts"
import { noteFields } from "../../../shared/telemetry/tracing.ts"
import { composeCancelled } from "../verdict/compose-verdict.ts"
import { announceVerdict, type FinalizeContext } from "../verdict/finalize-run.ts"

export interface CancelContext extends FinalizeContext, RejectionContext {
  executions: ExecutionsClient
  /** Full name of the worker's job. */
  job: string
}

/**
 * Gives a run up: the ledger fences first, then its executions are cancelled, then the verdict is sent. May be repeated after
 * a crash at any point. Rejects what has its verdict, or is about to have it.
 */
export async function takeCancelRequest(context: CancelContext, message: PushMessage): Promise<void> {
  let run: Run | undefined
  try {
    await refuseAgain(context, topics.cancelRequests, message)
    const { run: wanted } = parseJson(CancelRequestSchema, message.data)
    if (wanted.case === "backfillId") {
      await cancelBackfill(context, wanted.value, message)
      return
    }
    const requested = await findRequestedRun(context.db, wanted)
    // By its date a message means the run that was the newest, and not one that was begun since it was carried out.
    const cancelled = (await listCancelledRuns(context.db, requested.revenueDate)).find((of) =>
      isCancelledBy(of, message),
    )
    run = cancelled ?? requested
    await completeCancellation(context, run, cancelled !== undefined, message)
  } catch (error) {
    await rejectOrThrow(context, topics.cancelRequests, message, error, { runId: run?.runId, date: run?.revenueDate })
  }
}

/** Everything that a cancellation comes to, from wherever it stands. */
async function completeCancellation(
  context: CancelContext,
  run: Run,
  isCancelled: boolean,
  message: PushMessage,
): Promise<void> {
  noteFields({ runId: run.runId, dispatch: run.dispatch })
  if (!isCancelled) await cancel(context, run, message)
  await endExecutions(context, run)
  await announceVerdict(context, run.runId)
  await context.startWaiting()
}

/** None of its days is asked for any more, and its runs are given up, but those that are being verified. */
async function cancelBackfill(context: CancelContext, backfillId: string, message: PushMessage): Promise<void> {
  const { db } = context
  const backfill = await findBackfill(db, backfillId)
  if (!backfill) throw new PermanentError(`there is no backfill ${JSON.stringify(backfillId)}`)
  if (backfill.state === "ended") throw new PermanentError(`backfill ${backfillId} has ended: there is nothing to stop`)
  if (await endBackfill(db, backfillId, "cancelled")) context.log.warn({ backfillId }, "a backfill is cancelled")
  for (const day of await listAskedDays(db, backfillId)) {
    const run = await findRunOfDay(db, day)
    const isCancelled = run !== undefined && run.state === "cancelled" && isCancelledBy(run, message)
    if (run && (isCancelled || cancellableStates.includes(run.state))) {
      await completeCancellation(context, run, isCancelled, message)
    }
    await moveBackfillDay(db, day, { state: "cancelled" })
  }
  await context.driveBackfills()
}

function isCancelledBy({ verdict }: Run, { id }: PushMessage): boolean {
  return verdict !== null && parseDocument(VerdictSchema, verdict).requestId === id
}

async function cancel(context: CancelContext, run: Run, message: PushMessage): Promise<void> {
  switch (run.state) {
    case "waiting":
    case "planning":
    case "running":
      break
    case "verifying":
      throw new PermanentError(
        `run ${run.runId} is being verified, and about to have its verdict: there is nothing to stop`,
      )
    case "complete":
    case "incomplete":
    case "held":
    case "cancelled":
      throw new PermanentError(`run ${run.runId} is ${run.state}: there is nothing to stop`)
  }
  if (run.requestedAt > message.publishedAt) {
    throw new PermanentError(`run ${run.runId} was asked for after this request: cancel it by its id if that is meant`)
  }
  const request = { requestId: message.id, ...readAsker(message.attributes) }
  // False: the run has changed since it was read. Delivered again, the message is judged anew.
  const verdict = composeCancelled({ ...run, shop: context.shop }, request, context.now())
  if (!(await cancelRun(context.db, run, verdict))) {
    throw new Error(`run ${run.runId} has changed while it was being cancelled`)
  }
  context.log.warn({ runId: run.runId, ...request }, "a run is cancelled")
}

/** Its tasks would find nothing to do any more; this ends them at once. */
async function endExecutions(context: CancelContext, run: Run): Promise<void> {
  for (const execution of await listExecutions(context.db, run.runId, run.dispatch)) {
    const name = `${context.job}/executions/${execution}`
    await retryTransient(
      `cancel ${name}`,
      async () => {
        try {
          await context.executions.cancelExecution({ name })
        } catch (error) {
          // It has ended, or was deleted.
          if (!hasStatus(error, "notFound") && !hasStatus(error, "failedPrecondition")) throw error
        }
      },
      context,
    )
  }
}
