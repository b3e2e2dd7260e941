import { MalformedError, parseJson } from "../../../schemas/json.ts"
import { ShardReportSchema } from "../../../schemas/messages/shard_report_pb.ts"
import { findDispatch } from "../../../shared/ledger/runs/find-dispatches.ts"
import { findRun, type Run } from "../../../shared/ledger/runs/find-runs.ts"
import { takeReport } from "../../../shared/ledger/shards/count-report.ts"
import type { PushMessage } from "../../../shared/messages/push-server.ts"
import { noteFields } from "../../../shared/telemetry/tracing.ts"
import { type FinalizeContext, finalizeRun } from "../verdict/finalize-run.ts"

/**
 * Takes a shard's report, and finalizes its run once all of the dispatch have reported. A report that comes again
 * takes up what an earlier delivery may have left: a verdict not decided, or not announced.
 */
export async function takeShardReport(context: FinalizeContext, message: PushMessage): Promise<void> {
  const report = readReport(context, message)
  if (!report) return
  noteFields({ runId: report.runId, dispatch: report.dispatch })
  const left = await takeReport(context.db, report)
  if (left !== undefined && left > 0) return
  const run = await findRun(context.db, report.runId)
  if (!run) {
    context.log.warn(
      { messageId: message.id, shard: report.index, epoch: report.epoch },
      "a report of an unknown run is dropped",
    )
    return
  }
  if (report.dispatch !== run.dispatch) return
  if (isAnnouncementDue(run) || (await isDispatchReported(context, run))) await finalizeRun(context, run.runId)
}

function readReport(context: FinalizeContext, message: PushMessage) {
  try {
    return parseJson(ShardReportSchema, message.data)
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    // The topic's schema refuses such a message at the door; nothing rests on a report but the moment of the verdict.
    const { runId } = message.attributes
    context.log.error({ messageId: message.id, runId, error: error.message }, "a malformed report is dropped")
    return undefined
  }
}

async function isDispatchReported(context: FinalizeContext, run: Run): Promise<boolean> {
  if (run.state !== "running") return false
  const dispatch = await findDispatch(context.db, run.runId, run.dispatch)
  return dispatch?.shardCount != null && dispatch.reported >= dispatch.shardCount
}

function isAnnouncementDue(run: Run): boolean {
  return run.state === "verifying" || (run.verdict !== null && run.announcedAt === null)
}
