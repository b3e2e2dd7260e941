import type { Shard } from "./ledger/shards.ts"
import type { Range } from "./range.ts"

/** The range of a ledger row. */
export function shardRange(shard: Pick<Shard, "rangeFrom" | "rangeTo">): Range {
  return { from: shard.rangeFrom ?? undefined, to: shard.rangeTo ?? undefined }
}
