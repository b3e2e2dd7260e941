import { sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { type ShopSource, shopSources } from "../../schemas/database/shop.ts"
import { type ExplainRow, explain, indexForEstimate } from "../../shared/database/dialect.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { inSlice, type ShopDay } from "../../shared/day/shop-day.ts"
import { PermanentError } from "../../shared/errors.ts"

// Claiming, manifest and report cost the same for a shard of any size. Twenty shards keep a task's end even with the
// others'; more of them are only worth it to keep a shard, which is what a dead task loses, small.
const SHARDS_PER_TASK = 20
const SHARD_PURCHASES_MIN = 50_000
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
  const estimate = await estimateByPath[day.accessPath](db, day)
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

const estimateByPath: Record<AccessPath, typeof estimateSlice> = {
  "day-slice": estimateSlice,
  // EXPLAIN knows nothing of a day that has no index of its own.
  "user-batches": async () => 0,
}

async function estimateSlice(db: Database, day: ShopDay): Promise<number> {
  const estimates = await Promise.all(shopSources.map((source) => estimateSource(db, day, source)))
  return estimates.reduce((sum, rows) => sum + rows, 0)
}

async function estimateSource(db: Database, day: ShopDay, source: ShopSource): Promise<number> {
  const query = sql`SELECT ${source.table.userId} FROM ${source.table} ${indexForEstimate(day.sourceIndex)}
    WHERE ${inSlice(day, {})(source)}`
  const rows = allRows<ExplainRow>(await db.execute(explain(query)))
  return Number(rows[0]?.rows ?? 0)
}
