import type { Database } from "../../shared/database/open-database.ts"
import { estimateDay, SHARD_PURCHASES_MIN } from "../../shared/day/estimate-day.ts"
import type { ShopDay } from "../../shared/day/shop-day.ts"
import { PermanentError } from "../../shared/errors.ts"

// Claiming, manifest and report cost the same for a shard of any size. Twenty shards keep a task's end even with the
// others'; more of them are only worth it to keep a shard, which is what a dead task loses, small.
const SHARDS_PER_TASK = 20
const SHARD_PURCHASES_MAX = 500_000

export interface SizeOptions {
  shardPurchases: number | "auto"
  shardsMax: number
}

/**
 * How many purchases a shard of the day is to hold: what is set, else from 50,000 to 500,000, so that each of the tasks
 * has about twenty shards. By EXPLAIN, which knows a day's size to about a factor of two without reading it. Throws a
 * PermanentError if the day would have more shards than an execution can hold.
 */
export async function sizeShards(db: Database, day: ShopDay, tasks: number, options: SizeOptions): Promise<number> {
  const estimate = (await estimateDay(db, day)) ?? 0
  const even = Math.ceil(estimate / tasks / SHARDS_PER_TASK)
  const auto = Math.min(Math.max(SHARD_PURCHASES_MIN, even), SHARD_PURCHASES_MAX)
  const size = options.shardPurchases === "auto" ? auto : options.shardPurchases
  if (estimate > size * options.shardsMax) {
    throw new PermanentError(
      `the day would have more than ${options.shardsMax} shards: make SHARD_PURCHASES bigger and start the date again`,
    )
  }
  return size
}
