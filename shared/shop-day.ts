import { and, gte, isNotNull, isNull, lt, type SQL, sql } from "drizzle-orm"
import { purchases } from "../schemas/database/shop.ts"
import { allRows, type Database } from "./database.ts"
import type { Range } from "./range.ts"

/** The revenue day as the shop's rows see it. */
export interface ShopDay {
  /** First instant, inclusive. */
  fromAt: Date
  /** First instant after it. */
  toAt: Date
  /** The index through which the day is read. */
  sourceIndex: string
}

export interface SourceTotals {
  purchases: bigint
  amountCents: bigint
}

// One statement for many shards saves round trips; each arm is still one range of the index.
const RANGES_PER_STATEMENT = 100

const MS_PER_DAY = 86_400_000

/** The UTC dates that a day touches, as YYYY-MM-DD: one in UTC, two in any other time zone. */
export function utcDates(day: Pick<ShopDay, "fromAt" | "toAt">): string[] {
  const dates: string[] = []
  const first = Math.floor(day.fromAt.getTime() / MS_PER_DAY) * MS_PER_DAY
  for (let at = first; at < day.toAt.getTime(); at += MS_PER_DAY) dates.push(new Date(at).toISOString().slice(0, 10))
  return dates
}

/** `FROM purchases` through the day's index, whatever the optimizer's statistics say today. */
export function fromPurchases(day: ShopDay): SQL {
  return sql`FROM ${purchases} FORCE INDEX (${sql.identifier(day.sourceIndex)})`
}

/** The purchases of a day, of users in a range: one contiguous piece of the index for each UTC date. */
export function inSlice(day: ShopDay, range: Range, dates = utcDates(day)): SQL {
  return and(
    dates.length === 1 ? sql`${purchases.purchasedOn} = ${dates[0]}` : sql`${purchases.purchasedOn} IN ${dates}`,
    range.from === undefined ? undefined : gte(purchases.userId, range.from),
    range.to === undefined ? undefined : lt(purchases.userId, range.to),
    // Without bounds nothing else keeps guests out.
    range.from === undefined && range.to === undefined ? isNotNull(purchases.userId) : undefined,
    ...withinDay(day),
  ) as SQL
}

/** What one user bought on a day, as the driver hands rows on: user id, sum in minor units, purchases, all as digits. */
export type UserTotals = [userId: string, amountCents: string, purchases: string]

/** Selects the `UserTotals` of a range in the order of the users, which on one UTC date is that of the index. */
export function selectUserTotals(day: ShopDay, range: Range): SQL {
  const { userId, amountCents } = purchases
  return sql`SELECT ${userId}, SUM(${amountCents}), COUNT(*) ${fromPurchases(day)} WHERE ${inSlice(day, range)}
    GROUP BY ${userId} ORDER BY ${userId}`
}

/** Counts and sums the source of each range, in the order of the ranges. */
export async function sumSource(db: Database, day: ShopDay, ranges: Range[]): Promise<SourceTotals[]> {
  const totals: SourceTotals[] = []
  for (let start = 0; start < ranges.length; start += RANGES_PER_STATEMENT) {
    const arms = ranges
      .slice(start, start + RANGES_PER_STATEMENT)
      .map((range, offset) => selectTotals(day, inSlice(day, range), start + offset))
    const rows = allRows<TotalsRow>(await db.execute(sql.join(arms, sql` UNION ALL `)))
    for (const row of rows.toSorted((a, b) => Number(a.arm) - Number(b.arm))) totals.push(toTotals(row))
  }
  return totals
}

/** Counts and sums the purchases of a day that have no user. */
export async function sumGuests(db: Database, day: ShopDay): Promise<SourceTotals> {
  const guests = and(sql`${purchases.purchasedOn} IN ${utcDates(day)}`, isNull(purchases.userId), ...withinDay(day))
  const [row] = allRows<TotalsRow>(await db.execute(selectTotals(day, guests as SQL, 0)))
  return row ? toTotals(row) : { purchases: 0n, amountCents: 0n }
}

interface TotalsRow {
  arm: string
  purchases: string
  amount: string
}

function selectTotals(day: ShopDay, where: SQL, arm: number): SQL {
  return sql`SELECT ${arm} AS arm, COUNT(*) AS purchases, COALESCE(SUM(${purchases.amountCents}), 0) AS amount ${fromPurchases(day)} WHERE ${where}`
}

function toTotals(row: TotalsRow): SourceTotals {
  return { purchases: BigInt(row.purchases), amountCents: BigInt(row.amount) }
}

/** Whole UTC dates need no look at the time of day. */
function withinDay(day: ShopDay): SQL[] {
  if (day.fromAt.getTime() % MS_PER_DAY === 0 && day.toAt.getTime() % MS_PER_DAY === 0) return []
  return [gte(purchases.purchasedAt, day.fromAt), lt(purchases.purchasedAt, day.toAt)]
}
