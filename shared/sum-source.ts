import { and, isNull, type SQL, sql } from "drizzle-orm"
import pMap from "p-map"
import { purchases } from "../schemas/database/shop.ts"
import { allRows, type Database } from "./database.ts"
import type { Range } from "./range.ts"
import { type ArmRow, STATEMENTS_AT_ONCE, selectEach } from "./select-each.ts"
import { duringDay, fromPurchases, inSlice, type ShopDay, utcDates, withinDates } from "./shop-day.ts"
import { listPieces } from "./shop-pieces.ts"

/** What purchases of the shop add up to. */
export interface SourceTotals {
  purchases: bigint
  amountCents: bigint
}

/** Counts and sums the source of each range, in the order of the ranges. */
export async function sumSource(db: Database, day: ShopDay, ranges: Range[]): Promise<SourceTotals[]> {
  if (day.sourceWay === "user-batches") {
    return pMap(ranges, (range) => sumPieces(db, day, range), { concurrency: STATEMENTS_AT_ONCE })
  }
  const rows = await selectEach<TotalsRow>(db, ranges, (range, arm) => selectTotals(day, inSlice(day, range), arm))
  return rows.map(toTotals)
}

async function sumPieces(db: Database, day: ShopDay, range: Range): Promise<SourceTotals> {
  const sum = { purchases: 0n, amountCents: 0n }
  for await (const piece of listPieces(db, day, range)) {
    const totals = await sumWhere(db, day, piece)
    sum.purchases += totals.purchases
    sum.amountCents += totals.amountCents
  }
  return sum
}

/** Counts and sums the purchases of a day that have no user. */
export async function sumGuests(db: Database, day: ShopDay): Promise<SourceTotals> {
  const ofDay =
    day.sourceWay === "day-slice"
      ? [sql`${purchases.purchasedOn} IN ${utcDates(day)}`, ...withinDates(day)]
      : duringDay(day)
  return sumWhere(db, day, and(isNull(purchases.userId), ...ofDay) as SQL)
}

async function sumWhere(db: Database, day: ShopDay, where: SQL): Promise<SourceTotals> {
  const [row] = allRows<TotalsRow>(await db.execute(selectTotals(day, where, 0)))
  return row ? toTotals(row) : { purchases: 0n, amountCents: 0n }
}

interface TotalsRow extends ArmRow {
  purchases: string
  amount: string
}

function selectTotals(day: ShopDay, where: SQL, arm: number): SQL {
  return sql`SELECT ${arm} AS arm, COUNT(*) AS purchases, COALESCE(SUM(${purchases.amountCents}), 0) AS amount ${fromPurchases(day)} WHERE ${where}`
}

function toTotals(row: TotalsRow): SourceTotals {
  return { purchases: BigInt(row.purchases), amountCents: BigInt(row.amount) }
}
