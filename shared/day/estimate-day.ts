import { sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { type ShopSource, shopSources } from "../../schemas/database/shop.ts"
import { type ExplainRow, explain, indexForEstimate } from "../database/dialect.ts"
import { allRows, type Database } from "../database/open-database.ts"
import { inSlice, type ShopDay } from "./shop-day.ts"

/** What a shard holds at least, where a day has as much and no other size is set: claiming costs the same for any size. */
export const SHARD_PURCHASES_MIN = 50_000

/**
 * How many purchases a day has, by EXPLAIN, which knows it to about a factor of two without reading it; undefined where
 * the day has no index of its own, of which EXPLAIN knows nothing.
 */
export async function estimateDay(db: Database, day: ShopDay): Promise<number | undefined> {
  return estimateByPath[day.accessPath](db, day)
}

const estimateByPath: Record<AccessPath, typeof estimateDay> = {
  "day-slice": estimateSlice,
  "user-batches": async () => undefined,
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
