import type { PubSub } from "@google-cloud/pubsub"
import type { Shop } from "../../schemas/database/shop.ts"
import type { UserId } from "../../schemas/database/user-type.ts"
import { formatJson } from "../../schemas/json.ts"
import { WorkItemSchema } from "../../schemas/messages/work_item_pb.ts"
import type { Run } from "../../shared/ledger/runs/find-runs.ts"
import { shardRange } from "../../shared/ledger/shards/shard-range.ts"
import { topics } from "../../shared/messages/topics.ts"
import { traceAttributes } from "../../shared/telemetry/trace-parent.ts"
import { currentSpan } from "../../shared/telemetry/tracing.ts"
import type { OfferedShard } from "./offer.ts"

/** Sends a work item for each of these shards. */
export async function sendWorkItems(
  { pubsub, shop }: { pubsub: PubSub; shop: Shop },
  run: Run,
  dispatch: number,
  shards: OfferedShard[],
): Promise<void> {
  const topic = pubsub.topic(topics.workItems, { batching: { maxMessages: 1_000, maxMilliseconds: 5 } })
  const sent = shards.map((shard) => {
    const data = formatJson(WorkItemSchema, {
      runId: run.runId,
      dispatch,
      index: shard.shardIndex,
      date: run.revenueDate,
      ...itemRange(shop, shard),
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

/** The ends of a shard: as 64-bit integers where they are such. */
function itemRange({ layout }: Shop, shard: OfferedShard) {
  const { from, to } = shardRange(layout.userType, shard)
  const isInt64 = (id: UserId) => typeof id === "bigint" && BigInt.asIntN(64, id) === id
  return {
    ...(from === undefined ? {} : isInt64(from) ? { from: BigInt(from) } : { fromUser: String(from) }),
    ...(to === undefined ? {} : isInt64(to) ? { to: BigInt(to) } : { toUser: String(to) }),
  }
}
