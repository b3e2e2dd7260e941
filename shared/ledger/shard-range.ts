import type { Range } from "../range.ts"
import type { Shard } from "./find-shards.ts"

/** The range of a ledger row, where an end without a bound is null. */
export function shardRange(shard: Pick<Shard, "rangeFrom" | "rangeTo">): Range {
  return { from: shard.rangeFrom ?? undefined, to: shard.rangeTo ?? undefined }
}

/** The columns of a range in a ledger row. */
export function rangeColumns(range: Range): Pick<Shard, "rangeFrom" | "rangeTo"> {
  return { rangeFrom: range.from ?? null, rangeTo: range.to ?? null }
}
