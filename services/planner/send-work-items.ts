import type { PubSub } from "@google-cloud/pubsub"
import { formatJson } from "../../schemas/json.ts"
import { WorkItemSchema } from "../../schemas/messages/work_item_pb.ts"
import type { Run } from "../../shared/ledger/find-runs.ts"
import { shardRange } from "../../shared/ledger/shard-range.ts"
import { topics } from "../../shared/messages/topics.ts"
import { rangeFields } from "../../shared/range.ts"
import { traceAttributes } from "../../shared/telemetry/trace-parent.ts"
import { currentSpan } from "../../shared/telemetry/tracing.ts"
import type { OfferedShard } from "./offer.ts"

/** Sends a work item for each of these shards. */
export async function sendWorkItems(pubsub: PubSub, run: Run, dispatch: number, shards: OfferedShard[]): Promise<void> {
  const topic = pubsub.topic(topics.workItems, { batching: { maxMessages: 1_000, maxMilliseconds: 5 } })
  const sent = shards.map((shard) => {
    const data = formatJson(WorkItemSchema, {
      runId: run.runId,
      dispatch,
      index: shard.shardIndex,
      date: run.revenueDate,
      ...rangeFields(shardRange(shard)),
    })
    const attributes = {
      runId: run.runId,
      dispatch: String(dispatch),
      index: String(shard.shardIndex),
      ...traceAttributes(currentSpan()),
    }
    return topic.publishMessage({ data: Buffer.from(data), attributes })
  })
  await Promise.all(sent)
}
