import { and, or, type SQL, sql } from "drizzle-orm"
import type { ShopSource } from "../../../schemas/database/shop.ts"
import { type UserId, userLiteral } from "../../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../../shared/database/open-database.ts"
import { inTransaction } from "../../../shared/database/transaction.ts"
import { checksumOfPurchases, type Multipliers } from "../../../shared/day/checksum.ts"
import { canBeCut } from "../../../shared/day/own-time.ts"
import { addUpRows, type SumsRow, selectSums } from "../../../shared/day/select-sums.ts"
import {
  cellsOf,
  countOf,
  fromSource,
  indexOfSource,
  inScanAny,
  inSpan,
  type ShopDay,
} from "../../../shared/day/shop-day.ts"
import { addTotals, type CheckedTotals, noTotals, type Totals } from "../../../shared/day/totals.ts"
import type { Range } from "../../../shared/range.ts"
import { PURCHASES_PER_PIECE } from "./cut-pieces.ts"

/*
 * A day that is read as it is, is added up in one pass for all shards: each purchase is read once, and its user tells the shard.
 *
 * A big day is read in pieces of time, with a look at the throttle between two. All pieces are read in one snapshot. The proof
 * (see gather-evidence.ts) compares what a user had when their shard was computed with what they have at one later moment. A user's
 * purchases lie in many pieces: read at different moments, a purchase that moves from a piece that is still to be read into one that
 * was read, or one deleted before and one added behind, would make sums that the shop never had, and which may be equal to the
 * computed ones. In one snapshot every piece is the shop as of the same moment, however long the pass takes and waits, and that
 * moment is after the run was closed. A statement of one piece is a snapshot by itself.
 */

export interface DaySums {
  /** In the order of the ranges. */
  shards: CheckedTotals[]
  guests: Totals
}

interface ScanOptions {
  multipliers: Multipliers
  /** About how many purchases the day has; one piece where it is not known. */
  purchases?: number
  /** Asked before each piece but the first: false ends the pass. */
  pass?: () => Promise<boolean>
}

/** How many pieces are at most; the busiest hours of a day have a few times the mean. */
const PIECES_MAX = 1_000
const PEAK = 2

/** Whether ranges lie one after the other without a gap, so that one look tells in which of them a user is. */
export function areTiles(ranges: Range[]): boolean {
  return ranges.every(({ from }, at) => at === 0 || (from !== undefined && from === ranges[at - 1]?.to))
}

/** Adds up the purchases of each range, and of guests, in one pass; undefined if `pass` ended it. The ranges must be tiles. */
export async function sumScan(
  db: Database,
  day: ShopDay,
  ranges: Range[],
  { multipliers, purchases = 0, pass = async () => true }: ScanOptions,
): Promise<DaySums | undefined> {
  const { layout, sources } = day.shop
  const cut = sources.filter((source) => canBeCut(source) && indexOfSource(day, source) !== "")
  const pieces =
    cut.length === 0 || purchases <= PURCHASES_PER_PIECE ? 1 : Math.ceil((purchases * PEAK) / PURCHASES_PER_PIECE)
  const of = Math.min(pieces, PIECES_MAX)
  const none = (): CheckedTotals => ({ totals: noTotals(layout), checksum: 0n })
  const sums = { shards: ranges.map(none), guests: noTotals(layout) }
  const addRow = (row: ShardRow) => {
    const totals = addUpRows(layout, [row], noTotals(layout))
    const at = Number(row.daybook_shard)
    const shard = sums.shards[at]
    if (at < 0) sums.guests = addTotals(sums.guests, totals)
    else if (shard) {
      const checksum = shard.checksum + BigInt(row.checksum)
      sums.shards[at] = { totals: addTotals(shard.totals, totals), checksum }
    }
  }
  const read = async (tx: Database) => {
    for (let index = 0; index < of; index++) {
      if (index > 0 && !(await pass())) return undefined
      // What cannot be cut is read with the first piece.
      const read = sources.filter((source) => index === 0 || cut.includes(source))
      const arms = read.map((source) => {
        const piece = cut.includes(source) ? { index, of } : { index: 0, of: 1 }
        return selectShards(day, source, ranges, inScanAny(day, piece)(source), multipliers)
      })
      for (const row of allRows<ShardRow>(await tx.execute(sql.join(arms, sql` UNION ALL `)))) addRow(row)
    }
    return sums
  }
  return of === 1 ? read(db) : inTransaction(db, read, { snapshot: true, readOnly: true })
}

interface ShardRow extends SumsRow {
  /** The place of the range; -1 for guests. */
  daybook_shard: string | number
  checksum: string
}

function selectShards(day: ShopDay, source: ShopSource, ranges: Range[], where: SQL, multipliers: Multipliers): SQL {
  const cells = cellsOf(day, source)
  const { userType, own } = source
  const bounds = ranges.flatMap(({ from }, at) => (at > 0 && from !== undefined ? [from] : []))
  const whole = { from: ranges[0]?.from, to: ranges.at(-1)?.to }
  const inWhole = inSpan(userType, cells.userId, whole)
  const shard = sql`IF(${own.isGuest}, -1, ${placeOf(source, bounds)})`
  const checksum = checksumOfPurchases(source, cells, multipliers, whole)
  // No column of a shop is called daybook_shard, so that the group is this one.
  const group = cells.currency ? sql`daybook_shard, ${cells.currency}` : sql`daybook_shard`
  return sql`SELECT ${shard} AS daybook_shard, ${selectSums({ ...cells, purchases: countOf(source) })}, ${checksum} AS checksum
    ${fromSource(day, source)} WHERE ${and(where, inWhole ? or(own.isGuest, inWhole) : undefined)} GROUP BY ${group}`
}

/** How many of some ascending bounds a user has reached: by the order of the user's own column. */
function placeOf({ userType, own }: ShopSource, bounds: UserId[]): SQL {
  const { userId } = own.cells
  const literal = (id: UserId) => sql.raw(userLiteral(userType, id))
  if (bounds.length === 0) return sql.raw("0")
  // Searched in halves by the server. Its numbers are exact on both, beyond 2^63 too.
  if (userType.kind === "integer") return sql`INTERVAL(${userId}, ${sql.join(bounds.map(literal), sql`, `)})`
  const choose = (first: number, end: number): SQL => {
    if (first === end) return sql.raw(String(first))
    const middle = Math.floor((first + end) / 2)
    const bound = literal(bounds[middle] as UserId)
    return sql`IF(${userId} < ${bound}, ${choose(first, middle)}, ${choose(middle + 1, end)})`
  }
  return choose(0, bounds.length)
}
