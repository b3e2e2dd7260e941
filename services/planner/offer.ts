import type { Shard } from "../../shared/ledger/shards/find-shards.ts"

export type OfferedShard = Pick<Shard, "shardIndex" | "rangeFrom" | "rangeTo" | "state">

/** Shards of a dispatch that are in the ledger. Those that nobody has claimed are sent to the tasks. */
export interface Offer {
  shards: OfferedShard[]
  /** No shard comes after these. */
  isWhole: boolean
}
