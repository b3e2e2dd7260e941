import { and, eq, gte, lt, type SQL, sql } from "drizzle-orm"
import { revenueVersions } from "../../schemas/database/revenue.ts"
import { purchases } from "../../schemas/database/shop.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import { type ArmRow, selectEach } from "../database/select-each.ts"
import type { Range } from "../range.ts"
import { checksumOfRows, type Multipliers, parseMultipliers } from "./checksum.ts"
import { listPredicates } from "./list-predicates.ts"
import { fromPurchases, type ShopDay, sumAmounts, type UserTotals } from "./shop-day.ts"

/** Which version of which date. */
export interface RevenueVersion {
  revenueDate: string
  version: number
}

/** A version with what its checksums are made by. */
export interface CheckedVersion extends RevenueVersion {
  checksumMultipliers: string | null
}

/** What a set of Revenue rows adds up to. */
export interface RowTotals {
  rows: bigint
  purchases: bigint
  /** Minor units; may exceed 64 bits. */
  amountCents: bigint
  /** The same number as the checksum of the purchases that they were computed from: see checksum.ts. */
  checksum: bigint
}

/** Inserts the rows of a range as the shop has them now, inside the database. Part of a shard's transaction. */
export async function insertTotals(tx: Database, of: RevenueVersion, day: ShopDay, range: Range): Promise<void> {
  for await (const predicate of listPredicates(tx, day, range)) {
    await tx.execute(sql`
      INSERT INTO ${revenueVersions} (revenue_date, version, user_id, amount_cents, purchases)
      SELECT ${of.revenueDate}, ${of.version}, ${purchases.userId}, ${sumAmounts()}, COUNT(*)
      ${fromPurchases(day)} WHERE ${predicate}
      GROUP BY ${purchases.userId}`)
  }
}

/** Deletes the rows of a range. Part of a shard's transaction. */
export async function deleteRange(tx: Database, of: RevenueVersion, range: Range): Promise<void> {
  await tx.delete(revenueVersions).where(inRange(of, range))
}

/** Inserts rows that came from another server, in one statement. Part of a shard's transaction. */
export async function insertRows(tx: Database, of: RevenueVersion, rows: UserTotals[]): Promise<void> {
  const { revenueDate, version } = of
  // Literals rather than parameters, which cost more than the insert. BigInt takes nothing but a whole number.
  const literals = rows.map(
    ([userId, amountCents, count]) =>
      `('${revenueDate}',${version},${BigInt(userId)},${amountCents === null ? "NULL" : BigInt(amountCents)},${BigInt(count)})`,
  )
  await tx.execute(sql`
    INSERT INTO ${revenueVersions} (revenue_date, version, user_id, amount_cents, purchases)
    VALUES ${sql.raw(literals.join(","))}`)
}

/** Adds up the rows of each range, in the order of the ranges. */
export async function sumRows(db: Database, of: CheckedVersion, ranges: Range[]): Promise<RowTotals[]> {
  const multipliers = parseMultipliers(of.checksumMultipliers)
  const rows = await selectEach<TotalsRow>(db, ranges, (range, arm) =>
    selectTotals(inRange(of, range), multipliers, arm),
  )
  return rows.map(toTotals)
}

/** Deletes rows of a version, at most `limit` of them. Returns how many. */
export async function deleteRows(db: Database, of: RevenueVersion, limit: number): Promise<number> {
  return matchedRows(await db.delete(revenueVersions).where(inRange(of, {})).limit(limit))
}

interface TotalsRow extends ArmRow {
  rows: string
  purchases: string
  amount: string
  checksum: string
}

/** The rows of a version, of users in a range. */
export function inRange(of: RevenueVersion, range: Range): SQL {
  return and(
    eq(revenueVersions.revenueDate, of.revenueDate),
    eq(revenueVersions.version, of.version),
    range.from === undefined ? undefined : gte(revenueVersions.userId, range.from),
    range.to === undefined ? undefined : lt(revenueVersions.userId, range.to),
  ) as SQL
}

function selectTotals(where: SQL, multipliers: Multipliers, arm: number): SQL {
  const { amountCents, purchases: count } = revenueVersions
  return sql`
    SELECT ${arm} AS arm, COUNT(*) AS \`rows\`, COALESCE(SUM(${count}), 0) AS purchases,
      COALESCE(SUM(${amountCents}), 0) AS amount, ${checksumOfRows(multipliers)} AS checksum
    FROM ${revenueVersions} WHERE ${where}`
}

function toTotals(row: TotalsRow): RowTotals {
  return {
    rows: BigInt(row.rows),
    purchases: BigInt(row.purchases),
    amountCents: BigInt(row.amount),
    checksum: BigInt(row.checksum),
  }
}
