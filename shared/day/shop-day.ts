import { and, gte, isNotNull, isNull, lt, type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import type { Shop, ShopSource, SourceCells } from "../../schemas/database/shop.ts"
import type { ShopLayout } from "../../schemas/database/shop-layout.ts"
import { orderOfUser, selectUser, type UserId, type UserType, userLiteral } from "../../schemas/database/user-type.ts"
import type { Span } from "../range.ts"
import { duringOwnTime, type Piece } from "./own-time.ts"
import { type Bounds, clockBounds, MS_PER_DAY } from "./source-clock.ts"

/** The revenue day as the shop's rows see it. */
export interface ShopDay extends Bounds {
  shop: Shop
  /**
   * The index through which the day is read. Of several sources those of each, in their order, with commas between; one name
   * alone is the same in all. Empty: there is none, and a small table is read from end to end.
   */
  sourceIndex: string
  /** How the day is read through it. */
  accessPath: AccessPath
}

/** Through which index a shop is read, and how. */
export type SourceRead = Pick<ShopDay, "sourceIndex" | "accessPath">

/** Which rows of a source are meant. */
export type DayFilter = (source: ShopSource) => SQL

/** The dates of a source that a day touches, as YYYY-MM-DD: one by its own clock, two by another. */
export function shopDates(source: ShopSource, day: Bounds): string[] {
  const { fromAt, toAt } = clockBounds(source, day)
  const dates: string[] = []
  const first = Math.floor(fromAt.getTime() / MS_PER_DAY) * MS_PER_DAY
  for (let at = first; at < toAt.getTime(); at += MS_PER_DAY) dates.push(new Date(at).toISOString().slice(0, 10))
  return dates
}

/** One date of one source: a contiguous slice of the index. */
export interface DaySlice {
  source: ShopSource
  date: string
  /** How much of the date's 24 hours are the day's. */
  share: number
}

/** The slices that a day takes from. */
export function listSlices(day: Bounds & Pick<ShopDay, "shop">): DaySlice[] {
  return day.shop.sources.flatMap((source) => {
    const { fromAt, toAt } = clockBounds(source, day)
    return shopDates(source, day).map((date) => {
      const midnight = Date.parse(`${date}T00:00:00Z`)
      const ms = Math.min(toAt.getTime(), midnight + MS_PER_DAY) - Math.max(fromAt.getTime(), midnight)
      return { source, date, share: ms / MS_PER_DAY }
    })
  })
}

/** `FROM purchases` through the day's index, whatever the optimizer's statistics say today. */
export function fromSource(day: Pick<ShopDay, "shop" | "sourceIndex">, source: ShopSource): SQL {
  const index = indexOfSource(day, source)
  return index === "" ? sql`FROM ${source.table}` : sql`FROM ${source.table} FORCE INDEX (${sql.identifier(index)})`
}

/** The index through which one of the sources is read; empty: none. */
export function indexOfSource(
  { shop, sourceIndex }: Pick<ShopDay, "shop" | "sourceIndex">,
  source: ShopSource,
): string {
  const names = sourceIndex.split(",")
  return names.length === 1 ? sourceIndex : (names[shop.sources.indexOf(source)] ?? "")
}

/** What of a source's rows a day is made of, as its access path reads them. */
export function cellsOf({ accessPath }: Pick<ShopDay, "accessPath">, source: ShopSource): SourceCells {
  return accessPath === "day-slice" ? source.sliced : source.own.cells
}

/** The purchases of a day, of users in a range, by the shop's own columns: one range of an index of time, or a piece of it. */
export function inScan(day: ShopDay, span: Span, piece?: Piece): DayFilter {
  return (source) =>
    and(inScanAny(day, piece)(source), source.own.isUser, inSpan(source.userType, source.own.cells.userId, span)) as SQL
}

/** The same with those that have no user. */
export function inScanAny(day: ShopDay, piece?: Piece): DayFilter {
  return (source) => and(duringOwnTime(source, day, piece), source.own.counts) as SQL
}

/** The purchases of a day, of users in a range: one contiguous slice of the index for each of its dates. */
export function inSlice(day: ShopDay, span: Span): DayFilter {
  return (source) => inDates(source, day, span, shopDates(source, day))
}

/** The same of one of its slices. */
export function inDateSlice(day: ShopDay, { source, date }: DaySlice, span: Span): SQL {
  return inDates(source, day, span, [date])
}

/** The same of some of its dates. */
function inDates(source: ShopSource, day: Bounds, span: Span, dates: string[]): SQL {
  return and(onDates(source, span, dates), ...withinDates(source, day)) as SQL
}

/** Whatever the index has of a slice, also what lies outside the day. */
export function onDate({ source, date }: DaySlice, span: Span): SQL {
  return onDates(source, span, [date])
}

function onDates({ table: { purchasedOn }, userType, sliced }: ShopSource, span: Span, dates: string[]): SQL {
  return and(
    dates.length === 1 ? sql`${purchasedOn} = ${dates[0]}` : sql`${purchasedOn} IN ${dates}`,
    // Without bounds nothing else keeps guests out.
    inSpan(userType, sliced.userId, span) ?? isNotNull(sliced.userId),
  ) as SQL
}

/** That a user is in a range; undefined if that has no end. The ends are literals, which compare as the user's column says. */
export function inSpan(userType: UserType, userId: SQL, { from, to, after, through }: Span): SQL | undefined {
  const key = (id: UserId) => sql.raw(userLiteral(userType, id))
  return and(
    from === undefined || after !== undefined ? undefined : sql`${userId} >= ${key(from)}`,
    after === undefined ? undefined : sql`${userId} > ${key(after)}`,
    to === undefined || through !== undefined ? undefined : sql`${userId} < ${key(to)}`,
    through === undefined ? undefined : sql`${userId} <= ${key(through)}`,
  )
}

/** Lines to be grouped by user, one for each row that changes a user's amount. */
interface DayLines {
  /** Of the shop. */
  layout: ShopLayout
  from: SQL
  userId: SQL
  currency: SQL | undefined
  amount: SQL
  measures: SQL[]
  /** How many purchases a group has. */
  purchases: SQL
}

/** The rows of all sources that are meant: of one as they are, of several one after the other. */
export function selectLines(day: ShopDay, filter: DayFilter): DayLines {
  const { layout, sources } = day.shop
  const [source] = sources
  if (sources.length === 1) {
    return {
      layout,
      from: sql`${fromSource(day, source)} WHERE ${filter(source)}`,
      ...cellsOf(day, source),
      purchases: countOf(source),
    }
  }
  const line = (name: string) => sql.raw(`day_lines.${name}`)
  return {
    layout,
    from: sql`FROM (${sql.join(
      sources.map((each) => selectRows(day, each, filter(each))),
      sql` UNION ALL `,
    )}) AS day_lines`,
    userId: line("user_key"),
    currency: layout.hasCurrency ? line("currency") : undefined,
    amount: line("amount"),
    measures: layout.measures.map((_name, at) => line(`measure${at}`)),
    purchases: sql`SUM(${line("purchases")})`,
  }
}

/** How many purchases some rows of a source are. */
export function countOf({ layout }: ShopSource): SQL {
  return layout.isPurchase ? sql`COUNT(*)` : sql`0`
}

function selectRows(day: ShopDay, source: ShopSource, where: SQL): SQL {
  const { userId, amount, currency, measures } = cellsOf(day, source)
  const ofCurrency = currency ? sql`, ${currency} AS currency` : sql``
  const sums = measures.map((measure, at) => sql`, ${measure} AS ${sql.raw(`measure${at}`)}`)
  return sql`SELECT ${userId} AS user_key${ofCurrency}, ${amount} AS amount,
    ${sql.raw(source.layout.isPurchase ? "1" : "0")} AS purchases${sql.join(sums, sql``)} ${fromSource(day, source)} WHERE ${where}`
}

/** The cells of a row of Revenue after date and version, in the order of its columns, as the driver hands them on. */
export type RevenueCells = (string | number | null)[]

/** Selects the `RevenueCells` of the rows that are meant, in the order of the users. */
export function selectRevenueCells(day: ShopDay, filter: DayFilter): SQL {
  const lines = selectLines(day, filter)
  return sql`SELECT ${selectUser(lines.layout.userType, lines.userId)} AS userId, ${selectCells(lines)}
    ${lines.from} ${groupByUser(lines)} ORDER BY ${keyOf(lines)}`
}

/** What a group comes to be in Revenue, after its user: currency, amount, purchases, measures. */
export function selectCells(lines: DayLines): SQL {
  const currency = lines.currency ? sql`${lines.currency}, ` : sql``
  const sums = lines.measures.map((measure) => sql`, SUM(${measure})`)
  return sql`${currency}${sumAmounts(lines)} AS amount, ${lines.purchases} AS purchases${sql.join(sums, sql``)}`
}

/**
 * Selects the same to be compared: what is exact of a user's amounts is enough for that, as what is not makes a difference.
 * With what orders the users, where they are no numbers.
 */
export function selectComparable(day: ShopDay, filter: DayFilter): SQL {
  const lines = selectLines(day, filter)
  const sums = lines.measures.map((measure, at) => sql`, COALESCE(SUM(${measure}), 0) AS ${sql.raw(`measure${at}`)}`)
  return sql`SELECT ${keyColumns(lines)}, COALESCE(SUM(${lines.amount}), 0) AS amount,
    ${lines.purchases} AS purchases${sql.join(sums, sql``)} ${lines.from} ${groupByUser(lines)} ORDER BY ${keyOf(lines)}`
}

/** A user's key, and what orders it, as columns. */
export function keyColumns({ layout, userId, currency }: Pick<DayLines, "layout" | "userId" | "currency">): SQL {
  const order = orderOfUser(layout.userType, userId)
  const ordered = order ? sql`, ${order} AS userOrder` : sql``
  const ofCurrency = currency ? sql`, ${currency} AS currency` : sql``
  return sql`${selectUser(layout.userType, userId)} AS userId${ordered}${ofCurrency}`
}

export function groupByUser(lines: Pick<DayLines, "userId" | "currency">): SQL {
  return sql`GROUP BY ${keyOf(lines)}`
}

export function keyOf({ userId, currency }: Pick<DayLines, "userId" | "currency">): SQL {
  return currency ? sql`${userId}, ${currency}` : userId
}

/** The sum of a group's amounts to be written down; NULL if an amount of one is no whole number of minor units. */
export function sumAmounts({ layout, amount, measures }: DayLines): SQL {
  const sum = sql`SUM(${amount})`
  return layout.isAmountNullable ? sql`IF(NOT (${isInexact([amount, ...measures])}), ${sum}, NULL)` : sum
}

/** Whether some amounts of a group are no whole numbers of minor units. */
export function isInexact(amounts: SQL[]): SQL {
  return sql.join(
    amounts.map((amount) => sql`COUNT(*) > COUNT(${amount})`),
    sql` OR `,
  )
}

/** The purchases of a day that have no user. */
export function guestsOf(day: ShopDay): DayFilter {
  return (source) => {
    if (day.accessPath !== "day-slice") return and(source.own.isGuest, inScanAny(day)(source)) as SQL
    const onDay = sql`${source.table.purchasedOn} IN ${shopDates(source, day)}`
    return and(isNull(source.table.userId), onDay, ...withinDates(source, day)) as SQL
  }
}

/** Between the midnights of the day. Where the date is known already, whole dates need no look at the time of day. */
function withinDates(source: ShopSource, day: Bounds): SQL[] {
  const { fromAt, toAt } = clockBounds(source, day)
  const isWhole = fromAt.getTime() % MS_PER_DAY === 0 && toAt.getTime() % MS_PER_DAY === 0
  const { purchasedAt } = source.table
  return isWhole ? [] : [gte(purchasedAt, fromAt), lt(purchasedAt, toAt)]
}
