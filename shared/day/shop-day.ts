import { and, gte, isNotNull, isNull, lt, type SQL, sql } from "drizzle-orm"
import { Temporal } from "temporal-polyfill"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { purchases, shopLayout } from "../../schemas/database/shop.ts"
import type { Range } from "../range.ts"

/** The revenue day as the shop's rows see it. */
export interface ShopDay {
  /** First instant, inclusive. */
  fromAt: Date
  /** First instant after it. */
  toAt: Date
  /** In which the date is a day. */
  timeZone: string
  /** The index through which the day is read. */
  sourceIndex: string
  /** How the day is read through it. */
  accessPath: AccessPath
}

/** Through which index a shop is read, and how. */
export type SourceRead = Pick<ShopDay, "sourceIndex" | "accessPath">

const MS_PER_DAY = 86_400_000

type Bounds = Pick<ShopDay, "fromAt" | "toAt" | "timeZone">

/**
 * The bounds of a day by the clock of the shop's table: UTC, or the day's own time zone, in which it is from midnight to
 * midnight whether it has 23 hours or 25.
 */
function shopBounds({ fromAt, toAt, timeZone }: Bounds): { fromAt: Date; toAt: Date } {
  if (!shopLayout.isLocalTime) return { fromAt, toAt }
  return { fromAt: toWallClock(fromAt, timeZone), toAt: toWallClock(toAt, timeZone) }
}

/** What a clock shows at an instant, as if it showed UTC. */
function toWallClock(instant: Date, timeZone: string): Date {
  const shown = Temporal.Instant.fromEpochMilliseconds(instant.getTime()).toZonedDateTimeISO(timeZone)
  return new Date(shown.toPlainDateTime().toZonedDateTime("UTC").epochMilliseconds)
}

/** The dates of the shop's table that a day touches, as YYYY-MM-DD: one by its own clock, two by another. */
export function shopDates(day: Bounds): string[] {
  const { fromAt, toAt } = shopBounds(day)
  const dates: string[] = []
  const first = Math.floor(fromAt.getTime() / MS_PER_DAY) * MS_PER_DAY
  for (let at = first; at < toAt.getTime(); at += MS_PER_DAY) dates.push(new Date(at).toISOString().slice(0, 10))
  return dates
}

/** `FROM purchases` through the day's index, whatever the optimizer's statistics say today. */
export function fromPurchases(day: ShopDay): SQL {
  return sql`FROM ${purchases} FORCE INDEX (${sql.identifier(day.sourceIndex)})`
}

/** The purchases of a day, of users in a range: one contiguous slice of the index for each of its dates. */
export function inSlice(day: ShopDay, range: Range, dates = shopDates(day)): SQL {
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
export function selectUserTotals(day: ShopDay, where: SQL, amount: SQL = sumAmounts()): SQL {
  const { userId } = purchases
  return sql`SELECT ${userId} AS userId, ${amount} AS amount, COUNT(*) AS purchases ${fromPurchases(day)} WHERE ${where}
    GROUP BY ${userId} ORDER BY ${userId}`
}

/** The sum of a group's amounts to be written down; NULL if one of them is no whole number of minor units. */
export function sumAmounts(): SQL {
  const amount = purchases.amountCents
  const sum = sql`SUM(${amount})`
  return shopLayout.isAmountNullable ? sql`IF(COUNT(*) = COUNT(${amount}), ${sum}, NULL)` : sum
}

/** The purchases of a day that have no user. */
export function guestsOf(day: ShopDay): SQL {
  const counts = shopLayout.guestsCount
  return and(
    isNull(purchases.userId),
    ...dayByPath[day.accessPath](day),
    counts === undefined ? undefined : sql`(${sql.raw(counts)})`,
  ) as SQL
}

const dayByPath: Record<AccessPath, (day: ShopDay) => SQL[]> = {
  "day-slice": (day) => [sql`${purchases.purchasedOn} IN ${shopDates(day)}`, ...withinDates(day)],
  "user-batches": duringDay,
}

/** Between the midnights of the day. */
export function duringDay(day: Bounds): SQL[] {
  const { fromAt, toAt } = shopBounds(day)
  return [gte(purchases.purchasedAt, fromAt), lt(purchases.purchasedAt, toAt)]
}

/** The same where the date is known already: whole dates need no look at the time of day. */
function withinDates(day: Bounds): SQL[] {
  const { fromAt, toAt } = shopBounds(day)
  const isWhole = fromAt.getTime() % MS_PER_DAY === 0 && toAt.getTime() % MS_PER_DAY === 0
  return isWhole ? [] : duringDay(day)
}
