import { and, gte, isNotNull, lt, type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { purchases } from "../../schemas/database/shop.ts"
import type { Range } from "../range.ts"

/** The revenue day as the shop's rows see it. */
export interface ShopDay {
  /** First instant, inclusive. */
  fromAt: Date
  /** First instant after it. */
  toAt: Date
  /** The index through which the day is read. */
  sourceIndex: string
  /** How the day is read through it. */
  accessPath: AccessPath
}

/** Through which index a shop is read, and how. */
export type SourceRead = Pick<ShopDay, "sourceIndex" | "accessPath">

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

/** The purchases of a day, of users in a range: one contiguous slice of the index for each UTC date. */
export function inSlice(day: ShopDay, range: Range, dates = utcDates(day)): SQL {
  return and(
    dates.length === 1 ? sql`${purchases.purchasedOn} = ${dates[0]}` : sql`${purchases.purchasedOn} IN ${dates}`,
    range.from === undefined ? undefined : gte(purchases.userId, range.from),
    range.to === undefined ? undefined : lt(purchases.userId, range.to),
    // Without bounds nothing else keeps guests out.
    range.from === undefined && range.to === undefined ? isNotNull(purchases.userId) : undefined,
    ...withinDates(day),
  ) as SQL
}

/** What one user bought on a day, as the driver hands rows on: user id, sum in minor units, purchases, all as digits. */
export type UserTotals = [userId: string, amountCents: string, purchases: string]

/** Selects the `UserTotals` of the purchases that match, in the order of the users. */
export function selectUserTotals(day: ShopDay, where: SQL): SQL {
  const { userId, amountCents } = purchases
  return sql`SELECT ${userId} AS userId, SUM(${amountCents}) AS amount, COUNT(*) AS purchases ${fromPurchases(day)} WHERE ${where}
    GROUP BY ${userId} ORDER BY ${userId}`
}

/** Between the midnights of the day. */
export function duringDay(day: Pick<ShopDay, "fromAt" | "toAt">): SQL[] {
  return [gte(purchases.purchasedAt, day.fromAt), lt(purchases.purchasedAt, day.toAt)]
}

/** The same where the UTC date is known already: whole UTC dates need no look at the time of day. */
export function withinDates(day: Pick<ShopDay, "fromAt" | "toAt">): SQL[] {
  const isWhole = day.fromAt.getTime() % MS_PER_DAY === 0 && day.toAt.getTime() % MS_PER_DAY === 0
  return isWhole ? [] : duringDay(day)
}
