import { type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { revenueVersions } from "../../schemas/database/revenue.ts"
import { purchases } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../database/open-database.ts"
import type { Range } from "../range.ts"
import type { ReadTotals } from "./compare-totals.ts"
import { inRange, type RevenueVersion } from "./revenue-rows.ts"
import { inSlice, type ShopDay, selectUserTotals, type UserTotals } from "./shop-day.ts"
import { listBuyers, ofUsers } from "./user-batches.ts"

/** Reads the totals of users from a version's Revenue rows. */
export function readRowTotals(db: Database, of: RevenueVersion): ReadTotals {
  const { userId, amountCents, purchases } = revenueVersions
  return async (range, limit) =>
    selectTotals(
      db,
      sql`SELECT ${userId} AS userId, ${amountCents} AS amount, ${purchases} AS purchases FROM ${revenueVersions}
        WHERE ${inRange(of, range)} ORDER BY ${userId} LIMIT ${limit}`,
    )
}

/** Adds up the totals of users from the shop's purchases of a day, as it has them now. */
export function readShopTotals(db: Database, day: ShopDay): ReadTotals {
  return (range, limit) => readByPath[day.accessPath](db, day, range, limit)
}

const readByPath: Record<AccessPath, typeof readBatches> = {
  "day-slice": (db, day, range, limit) =>
    selectTotals(db, sql`${selectUserTotals(day, inSlice(day, range), sumOfExact())} LIMIT ${limit}`),
  "user-batches": readBatches,
}

async function readBatches(db: Database, day: ShopDay, range: Range, limit: number): Promise<UserTotals[]> {
  const totals: UserTotals[] = []
  for await (const userIds of listBuyers(db, day, range)) {
    totals.push(...(await selectTotals(db, selectUserTotals(day, ofUsers(day, userIds), sumOfExact()))))
    if (totals.length >= limit) break
  }
  return totals
}

/** To compare, what is exact of a user's amounts is enough: what is not makes a difference by that. */
const sumOfExact = () => sql`COALESCE(SUM(${purchases.amountCents}), 0)`

async function selectTotals(db: Database, query: SQL): Promise<UserTotals[]> {
  // The driver hands an INT on as a number, and what has 64 bits or more as digits.
  const rows = allRows<{ userId: string; amount: string; purchases: string | number }>(await db.execute(query))
  return rows.map(({ userId, amount, purchases }) => [userId, amount, String(purchases)])
}
