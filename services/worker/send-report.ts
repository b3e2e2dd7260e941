import type { Topic } from "@google-cloud/pubsub"
import { formatJson } from "../../schemas/json.ts"
import { ShardReportSchema } from "../../schemas/messages/shard_report_pb.ts"
import type { Shard } from "../../shared/ledger/shards/find-shards.ts"
import { type RetryOptions, retryTransient } from "../../shared/retry.ts"
import { traceAttributes } from "../../shared/telemetry/trace-parent.ts"
import { currentSpan } from "../../shared/telemetry/tracing.ts"

/** Reports a shard that is done or failed. Sent at least once: the finalizer counts a shard's report once. */
export async function sendReport(reports: Topic, shard: Shard, options: RetryOptions): Promise<void> {
  const data = formatJson(ShardReportSchema, {
    runId: shard.runId,
    dispatch: shard.dispatch,
    index: shard.shardIndex,
    epoch: shard.epoch,
    outcome: shard.state,
    ...(shard.state === "failed" ? { error: shard.error ?? "" } : {}),
  })
  const attributes = { runId: shard.runId, ...traceAttributes(currentSpan()) }
  const send = () => reports.publishMessage({ data: Buffer.from(data), attributes })
  await retryTransient(`report shard ${shard.shardIndex}`, send, options)
}
