import { and, eq, type SQL, sql } from "drizzle-orm"
import type { Shop } from "../../schemas/database/shop.ts"
import type { ShopLayout } from "../../schemas/database/shop-layout.ts"
import { parseUserId, userLiteral } from "../../schemas/database/user-type.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import { type ArmRow, selectEach } from "../database/select-each.ts"
import type { Range, Span } from "../range.ts"
import { checksumOfRows, type Multipliers, parseMultipliers } from "./checksum.ts"
import { listFilters } from "./list-filters.ts"
import { addUpRows, type SumsRow, selectSums } from "./select-sums.ts"
import { groupByUser, inSpan, type RevenueCells, type ShopDay, selectCells, selectLines } from "./shop-day.ts"
import { type CheckedTotals, noRows } from "./totals.ts"

/** Which version of which date, in Revenue as the shop has it. */
export interface RevenueVersion {
  shop: Shop
  revenueDate: string
  version: number
}

/** A version with what its checksums are made by. */
export interface CheckedVersion extends RevenueVersion {
  checksumMultipliers: string | null
}

/** What a set of Revenue rows adds up to. The checksum is that of the purchases which they were computed from. */
export interface CheckedRows extends CheckedTotals {
  /** The largest amount of one row; 0 where there is none above. */
  largestCents: bigint
}

/** Revenue's columns in the order of `RevenueCells`, after date and version. */
const columnsOf = ({ hasCurrency, measures }: ShopLayout) =>
  sql.raw(["user_id", ...(hasCurrency ? ["currency"] : []), "amount_cents", "purchases", ...measures].join())

/** Inserts the rows of a range as the shop has them now, inside the database. Part of a shard's transaction. */
export async function insertTotals(tx: Database, of: RevenueVersion, day: ShopDay, range: Range): Promise<void> {
  for await (const filter of listFilters(tx, day, range)) {
    const lines = selectLines(day, filter)
    await tx.execute(sql`
      INSERT INTO ${of.shop.revenue.table} (revenue_date, version, ${columnsOf(of.shop.layout)})
      SELECT ${of.revenueDate}, ${of.version}, ${lines.userId}, ${selectCells(lines)}
      ${lines.from} ${groupByUser(lines)}`)
  }
}

/** Deletes the rows of a range. Part of a shard's transaction. */
export async function deleteRange(tx: Database, of: RevenueVersion, range: Range): Promise<void> {
  await tx.delete(of.shop.revenue.table).where(inRange(of, range))
}

/** Inserts rows that came from another server, in one statement. Part of a shard's transaction. */
export async function insertRows(tx: Database, of: RevenueVersion, rows: RevenueCells[]): Promise<void> {
  const start = `'${of.revenueDate}',${of.version}`
  // Literals rather than parameters, which cost more than the insert.
  const { layout, revenue } = of.shop
  const toLiteral = literalsOf(layout)
  const literals = rows.map((row) => `(${start},${row.map(toLiteral).join(",")})`)
  await tx.execute(sql`
    INSERT INTO ${revenue.table} (revenue_date, version, ${columnsOf(layout)})
    VALUES ${sql.raw(literals.join(","))}`)
}

/** Writes values of `RevenueCells` by their places. BigInt takes nothing but a whole number. */
function literalsOf({ userType, hasCurrency }: ShopLayout) {
  const currencyAt = hasCurrency ? 1 : undefined
  return (value: string | number | null, at: number): string => {
    if (value === null) return "NULL"
    if (at === 0) return userLiteral(userType, parseUserId(userType, String(value)))
    if (at === currencyAt) return `_utf8mb4 x'${Buffer.from(String(value)).toString("hex")}'`
    return String(BigInt(value))
  }
}

/** Adds up the rows of each range, in the order of the ranges; `atOnce` is 1 in a transaction. */
export async function sumRows(
  db: Database,
  of: CheckedVersion,
  ranges: Range[],
  atOnce?: number,
): Promise<CheckedRows[]> {
  const multipliers = parseMultipliers(of.checksumMultipliers)
  const select = (range: Range, arm: number) => selectTotals(of, range, multipliers, arm)
  const { layout } = of.shop
  const sums = await selectEach<TotalsRow>(db, ranges, select, atOnce)
  return sums.map((rows) => ({
    totals: addUpRows(layout, rows, noRows(layout)),
    largestCents: rows.reduce((most, row) => (BigInt(row.largest) > most ? BigInt(row.largest) : most), 0n),
    checksum: rows.reduce((sum, row) => sum + BigInt(row.checksum), 0n),
  }))
}

/** Deletes rows of a version, at most `limit` of them. Returns how many. */
export async function deleteRows(db: Database, of: RevenueVersion, limit: number): Promise<number> {
  return matchedRows(await db.delete(of.shop.revenue.table).where(inRange(of, {})).limit(limit))
}

interface TotalsRow extends ArmRow, SumsRow {
  largest: string
  checksum: string
}

/** The rows of a version, of users in a span. */
export function inRange(of: RevenueVersion, span: Span): SQL {
  const { revenueDate, version, userId } = of.shop.revenue.table
  return and(
    eq(revenueDate, of.revenueDate),
    eq(version, of.version),
    inSpan(of.shop.layout.userType, sql`${userId}`, span),
  ) as SQL
}

function selectTotals(of: RevenueVersion, range: Range, multipliers: Multipliers, arm: number): SQL {
  const { table, currency, measures } = of.shop.revenue
  const { amountCents, purchases } = table
  const sums = selectSums({
    currency,
    purchases: sql`COALESCE(SUM(${purchases}), 0)`,
    amount: sql`${amountCents}`,
    measures,
  })
  return sql`
    SELECT ${arm} AS arm, COUNT(*) AS \`rows\`, COALESCE(MAX(${amountCents}), 0) AS largest, ${sums}, ${checksumOfRows(of.shop, multipliers, range)} AS checksum
    FROM ${table} WHERE ${inRange(of, range)}${currency ? sql` GROUP BY ${currency}` : sql``}`
}
