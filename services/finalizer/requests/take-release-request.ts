import { VerdictSchema } from "../../../schemas/documents/verdict_pb.ts"
import { formatJson, parseDocument, parseJson } from "../../../schemas/json.ts"
import { ReleaseRequestSchema } from "../../../schemas/messages/release_request_pb.ts"
import { askerFields, readAsker } from "../../../shared/asker.ts"
import { noRows } from "../../../shared/day/totals.ts"
import { parseTotals } from "../../../shared/day/totals-fields.ts"
import { PermanentError } from "../../../shared/errors.ts"
import { findNewestRun, type Run } from "../../../shared/ledger/runs/find-runs.ts"
import { releaseRun } from "../../../shared/ledger/runs/release-run.ts"
import { findRequestedRun } from "../../../shared/messages/find-requested-run.ts"
import type { PushMessage } from "../../../shared/messages/push-server.ts"
import { type RejectionContext, refuseAgain, rejectOrThrow } from "../../../shared/messages/reject-request.ts"
import { topics } from "../../../shared/messages/topics.ts"
import { noteFields } from "../../../shared/telemetry/tracing.ts"
import { announceVerdict, type FinalizeContext } from "../verdict/finalize-run.ts"

/** Shows a day that a check holds, as it is. May be repeated after a crash at any point. */
export async function takeReleaseRequest(
  context: FinalizeContext & RejectionContext,
  message: PushMessage,
): Promise<void> {
  let run: Run | undefined
  try {
    await refuseAgain(context, topics.releaseRequests, message)
    run = await findRequestedRun(context.db, parseJson(ReleaseRequestSchema, message.data).run)
    noteFields({ runId: run.runId, dispatch: run.dispatch })
    if (!isReleasedBy(run, message)) await release(context, run, message)
    await announceVerdict(context, run.runId)
  } catch (error) {
    await rejectOrThrow(context, topics.releaseRequests, message, error, { runId: run?.runId, date: run?.revenueDate })
  }
}

function isReleasedBy({ state, verdict }: Run, { id }: PushMessage): boolean {
  return state === "complete" && verdict !== null && parseDocument(VerdictSchema, verdict).requestId === id
}

async function release(context: FinalizeContext, run: Run, message: PushMessage): Promise<void> {
  if (run.state !== "held")
    throw new PermanentError(`run ${run.runId} is ${run.state}: only a day that is held is released`)
  const newest = await findNewestRun(context.db, run.revenueDate)
  if (newest && newest.runId !== run.runId) {
    throw new PermanentError(
      `run ${run.runId} is version ${run.version} of ${run.revenueDate}, and ${newest.runId} is the newest (version ${newest.version}, ${newest.state})`,
    )
  }
  const { reason: _held, ...held } = parseDocument(VerdictSchema, run.verdict ?? "")
  const asker = readAsker(message.attributes)
  const verdict = formatJson(
    VerdictSchema,
    {
      ...held,
      verdict: "complete",
      requestId: message.id,
      ...askerFields(asker),
      decidedAt: context.now().toISOString(),
    },
    2,
  )
  const { revenue } = held
  const totals = revenue ? parseTotals(revenue) : noRows(context.shop.layout)
  // False: the run has changed since it was read. Delivered again, the message is judged anew.
  if (!(await releaseRun(context.db, { ...run, ...asker }, verdict, totals))) {
    throw new Error(`run ${run.runId} has changed while it was being released`)
  }
  context.log.warn({ runId: run.runId, ...asker }, "a held day is released")
}
