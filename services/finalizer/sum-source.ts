import { type SQL, sql } from "drizzle-orm"
import pMap from "p-map"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { purchases } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { type ArmRow, STATEMENTS_AT_ONCE, selectEach } from "../../shared/database/select-each.ts"
import { checksumOfPurchases, parseMultipliers } from "../../shared/day/checksum.ts"
import { listPredicates } from "../../shared/day/list-predicates.ts"
import { fromPurchases, guestsOf, inSlice, type ShopDay } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"

/** What purchases of the shop add up to. */
export interface SourceTotals {
  purchases: bigint
  amountCents: bigint
}

/** The same with the checksum that depends on each user's purchases: see checksum.ts. */
export interface CheckedTotals extends SourceTotals {
  checksum: bigint
}

/** A day with what its checksums are made by. */
export interface CheckedDay extends ShopDay {
  checksumMultipliers: string | null
}

/** Adds up the source of each range, in the order of the ranges: each purchase is read once. */
export async function sumSource(db: Database, day: CheckedDay, ranges: Range[]): Promise<CheckedTotals[]> {
  const checksum = checksumOfPurchases(parseMultipliers(day.checksumMultipliers))
  return sumByPath[day.accessPath](db, day, ranges, checksum)
}

type SumRanges = (db: Database, day: ShopDay, ranges: Range[], checksum: SQL) => Promise<CheckedTotals[]>

const sumByPath: Record<AccessPath, SumRanges> = {
  "day-slice": async (db, day, ranges, checksum) => {
    const select = (range: Range, arm: number) => selectTotals(day, inSlice(day, range), arm, checksum)
    return (await selectEach<CheckedRow>(db, ranges, select)).map(toCheckedTotals)
  },
  "user-batches": (db, day, ranges, checksum) =>
    pMap(ranges, (range) => sumPredicates(db, day, range, checksum), { concurrency: STATEMENTS_AT_ONCE }),
}

async function sumPredicates(db: Database, day: ShopDay, range: Range, checksum: SQL): Promise<CheckedTotals> {
  const sum = { purchases: 0n, amountCents: 0n, checksum: 0n }
  for await (const predicate of listPredicates(db, day, range)) {
    const [row] = allRows<CheckedRow>(await db.execute(selectTotals(day, predicate, 0, checksum)))
    if (!row) continue
    const totals = toCheckedTotals(row)
    sum.purchases += totals.purchases
    sum.amountCents += totals.amountCents
    sum.checksum += totals.checksum
  }
  return sum
}

/** Counts and sums the purchases of a day that have no user. */
export async function sumGuests(db: Database, day: ShopDay): Promise<SourceTotals> {
  const [row] = allRows<TotalsRow>(await db.execute(selectTotals(day, guestsOf(day), 0)))
  return row ? toTotals(row) : { purchases: 0n, amountCents: 0n }
}

interface TotalsRow extends ArmRow {
  purchases: string
  amount: string
}

interface CheckedRow extends TotalsRow {
  checksum: string
}

/** Guests have no row to be compared with, and so no checksum. */
function selectTotals(day: ShopDay, where: SQL, arm: number, checksum?: SQL): SQL {
  const checked = checksum ? sql`, ${checksum} AS checksum` : sql``
  return sql`SELECT ${arm} AS arm, COUNT(*) AS purchases, COALESCE(SUM(${purchases.amountCents}), 0) AS amount${checked}
    ${fromPurchases(day)} WHERE ${where}`
}

function toCheckedTotals(row: CheckedRow): CheckedTotals {
  return { ...toTotals(row), checksum: BigInt(row.checksum) }
}

function toTotals(row: TotalsRow): SourceTotals {
  return { purchases: BigInt(row.purchases), amountCents: BigInt(row.amount) }
}
