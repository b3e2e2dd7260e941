import { type SQL, sql } from "drizzle-orm"
import pMap from "p-map"
import type { AccessPath } from "../../../schemas/database/ledger.ts"
import type { Shop } from "../../../schemas/database/shop.ts"
import { allRows, type Database } from "../../../shared/database/open-database.ts"
import { type ArmRow, STATEMENTS_AT_ONCE, selectEach } from "../../../shared/database/select-each.ts"
import { checksumOfPurchases, type Multipliers, parseMultipliers } from "../../../shared/day/checksum.ts"
import { listFilters } from "../../../shared/day/list-filters.ts"
import { addUpRows, type SumsRow, selectSums } from "../../../shared/day/select-sums.ts"
import {
  cellsOf,
  countOf,
  type DayFilter,
  fromSource,
  guestsOf,
  inSlice,
  type ShopDay,
} from "../../../shared/day/shop-day.ts"
import { addTotals, type CheckedTotals, noTotals, type Totals } from "../../../shared/day/totals.ts"
import type { Range } from "../../../shared/range.ts"
import { areTiles, sumScan } from "./sum-scan.ts"

/** A day with what its checksums are made by. */
export interface CheckedDay extends ShopDay {
  checksumMultipliers: string | null
}

/** Adds up the source of each range, in the order of the ranges: each purchase is read once. */
export async function sumSource(db: Database, day: CheckedDay, ranges: Range[]): Promise<CheckedTotals[]> {
  return sumByPath[day.accessPath](db, day, ranges, parseMultipliers(day.checksumMultipliers))
}

type SumRanges = (db: Database, day: ShopDay, ranges: Range[], multipliers: Multipliers) => Promise<CheckedTotals[]>

const sumByPath: Record<AccessPath, SumRanges> = {
  "day-slice": async (db, day, ranges, multipliers) => {
    const select = (range: Range, arm: number) => selectTotals(day, inSlice(day, range), arm, { multipliers, range })
    return (await selectEach<CheckedRow>(db, ranges, select)).map((rows) => toCheckedTotals(day.shop, rows))
  },
  "day-scan": async (db, day, ranges, multipliers) => {
    const sums = areTiles(ranges) ? await sumScan(db, day, ranges, { multipliers }) : undefined
    return sums?.shards ?? pMap(ranges, (range) => sumFilters(db, day, range, multipliers), { concurrency: 1 })
  },
  "user-batches": (db, day, ranges, multipliers) =>
    pMap(ranges, (range) => sumFilters(db, day, range, multipliers), { concurrency: STATEMENTS_AT_ONCE }),
}

async function sumFilters(db: Database, day: ShopDay, range: Range, multipliers: Multipliers): Promise<CheckedTotals> {
  let sum: CheckedTotals = { totals: noTotals(day.shop.layout), checksum: 0n }
  for await (const filter of listFilters(db, day, range)) {
    const rows = allRows<CheckedRow>(await db.execute(selectTotals(day, filter, 0, { multipliers, range })))
    const { totals, checksum } = toCheckedTotals(day.shop, rows)
    sum = { totals: addTotals(sum.totals, totals), checksum: sum.checksum + checksum }
  }
  return sum
}

/** Counts and sums the purchases of a day that have no user. */
export async function sumGuests(db: Database, day: ShopDay): Promise<Totals> {
  const { layout } = day.shop
  const rows = allRows<SumsRow>(await db.execute(selectTotals(day, guestsOf(day), 0)))
  return addUpRows(layout, rows, noTotals(layout))
}

interface CheckedRow extends ArmRow, SumsRow {
  checksum: string
}

interface Checked {
  multipliers: Multipliers
  /** Of the users whom the filter lets through. */
  range: Range
}

/** A row of each source, and of each currency in it. Guests have no row to be compared with, and so no checksum. */
function selectTotals(day: ShopDay, filter: DayFilter, arm: number, checked?: Checked): SQL {
  const arms = day.shop.sources.map((source) => {
    const cells = cellsOf(day, source)
    const { currency } = cells
    const sums = selectSums({ ...cells, purchases: countOf(source) })
    const checksum = checked
      ? sql`, ${checksumOfPurchases(source, cells, checked.multipliers, checked.range)} AS checksum`
      : sql``
    const grouped = currency ? sql` GROUP BY ${currency}` : sql``
    return sql`SELECT ${arm} AS arm, ${sums}${checksum} ${fromSource(day, source)} WHERE ${filter(source)}${grouped}`
  })
  return sql.join(arms, sql` UNION ALL `)
}

function toCheckedTotals({ layout }: Shop, rows: CheckedRow[]): CheckedTotals {
  return {
    totals: addUpRows(layout, rows, noTotals(layout)),
    checksum: rows.reduce((sum, row) => sum + BigInt(row.checksum), 0n),
  }
}
