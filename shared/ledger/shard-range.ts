import type { Range } from "../range.ts"
import type { Shard } from "./find-shards.ts"

/** The range of a ledger row. */
export function shardRange(shard: Pick<Shard, "rangeFrom" | "rangeTo">): Range {
  return { from: shard.rangeFrom ?? undefined, to: shard.rangeTo ?? undefined }
}
