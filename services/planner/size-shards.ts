import type { Database } from "../../shared/database/open-database.ts"
import { estimateDay, SHARD_PURCHASES_MIN } from "../../shared/day/estimate-day.ts"
import type { ShopDay } from "../../shared/day/shop-day.ts"
import { PermanentError } from "../../shared/errors.ts"
import { sizeScan } from "./sample-users.ts"

// Claiming, manifest and report cost the same for a shard of any size. Twenty shards keep a task's end even with the
// others'; more of them are only worth it to keep a shard, which is what a dead task loses, small.
const SHARDS_PER_TASK = 20
const SHARD_PURCHASES_MAX = 500_000

// Where each shard passes over the whole day, more of them than tasks only add passes (1.4 s of CPU a million purchases).
const SCAN_SHARD_PURCHASES_MIN = 250_000

// More would pass over a day more often than over all of its history by any other path.
const SCAN_SHARDS_MAX = 1_000

export interface SizeOptions {
  shardPurchases: number | "auto"
  shardsMax: number
}

/**
 * How many purchases a shard of the day is to hold: what is set, else from 50,000 to 500,000, so that each of the tasks
 * has about twenty shards; of a day that each shard passes over, one shard for each task, of 250,000 or more. By EXPLAIN, which knows a day's size to about a factor of two without reading it. Throws a
 * PermanentError if the day would have more shards than an execution can hold.
 */
export async function sizeShards(db: Database, day: ShopDay, tasks: number, options: SizeOptions): Promise<number> {
  const isScan = day.accessPath === "day-scan"
  const shardsMax = isScan ? Math.min(options.shardsMax, SCAN_SHARDS_MAX) : options.shardsMax
  const estimate = isScan ? await sizeScan(db, day) : ((await estimateDay(db, day)) ?? 0)
  const auto = isScan ? sizeForScan(estimate, Math.min(tasks, shardsMax)) : sizeForTasks(estimate, tasks)
  const size = options.shardPurchases === "auto" ? auto : options.shardPurchases
  if (estimate > size * shardsMax) {
    throw new PermanentError(
      `the day would have more than ${shardsMax} shards: make SHARD_PURCHASES bigger and start the date again`,
    )
  }
  return size
}

function sizeForTasks(estimate: number, tasks: number): number {
  const even = Math.ceil(estimate / tasks / SHARDS_PER_TASK)
  return Math.min(Math.max(SHARD_PURCHASES_MIN, even), SHARD_PURCHASES_MAX)
}

/** A shard for each task that runs at once. */
const sizeForScan = (estimate: number, tasks: number) => Math.max(SCAN_SHARD_PURCHASES_MIN, Math.ceil(estimate / tasks))
