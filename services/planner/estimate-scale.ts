import { sql } from "drizzle-orm"
import type { UserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { explainSlices } from "../../shared/day/estimate-day.ts"
import { fromSource, listSlices, onDate, type ShopDay } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"
import { splitKeys } from "./split-keys.ts"

// Of the ranges that are halved: numbers of 64 bits are single ones after as many.
const HALVINGS_MAX = 80

// What is doubled is twice the sum of its halves that are counted.
const FALL_MIN = 1.6

// Fewer say nothing: what is off by one row is off by too much.
const ROWS_MIN = 200

// Certainly doubled.
const ROWS_MANY = 20_000

/** Users of a range, none beyond the last, and what EXPLAIN says of it. */
interface Stretch {
  range: Range & { from: UserId }
  last: UserId
  said: number
}

/**
 * Finds up to which number an estimate is a count, by halving a range until its two halves have half of what it has: how
 * many entries ten pages hold depends on the index. Undefined if it does not come to that. Of several slices by the
 * biggest.
 */
export async function findCountedMax(
  db: Database,
  day: ShopDay,
  range: Range & { from: UserId },
  last: UserId,
): Promise<number | undefined> {
  const [[...whole] = []] = await explainSlices(db, day, [range])
  const slice = whole.indexOf(Math.max(...whole))
  // A stack: where one user has nearly all there is nothing to halve, and others are tried.
  const stretches: Stretch[] = [{ range, last, said: whole[slice] ?? 0 }]
  for (let halvings = 0; halvings < HALVINGS_MAX; halvings++) {
    const stretch = stretches.pop()
    if (!stretch) return undefined
    const halves = await halve(db, day, slice, stretch)
    const said = halves.map((half) => half.said)
    const sum = said.reduce((all, half) => all + half, 0)
    // Ten pages have more than the bigger half and less than both; what is doubled begins at twice as much.
    if (halves.length > 0 && stretch.said >= sum * FALL_MIN) return Math.sqrt(2 * Math.max(...said) * sum)
    const rest = halves.filter((half) => half.said >= ROWS_MIN)
    // Down to what is about to be counted the quicker way, and there where most is.
    const many = rest.filter((half) => half.said >= ROWS_MANY).toSorted((a, b) => b.said - a.said)
    const few = rest.filter((half) => half.said < ROWS_MANY).toSorted((a, b) => a.said - b.said)
    stretches.push(...few, ...many)
  }
  return undefined
}

async function halve(db: Database, day: ShopDay, slice: number, { range, last }: Stretch): Promise<Stretch[]> {
  const [middle] = splitKeys(day.shop.layout.userType, range.from, last, 2)
  if (middle === undefined) return []
  const halves = [
    { range: { from: range.from, to: middle }, last: middle },
    { range: { from: middle, to: range.to }, last },
  ]
  const said = await explainSlices(
    db,
    day,
    halves.map((half) => half.range),
  )
  return halves.map((half, at) => ({ ...half, said: said[at]?.[slice] ?? 0 }))
}

/** Counts a day's entries in a range. */
export async function countRows(db: Database, day: ShopDay, range: Range): Promise<number> {
  const counts = await Promise.all(
    listSlices(day).map(async (slice) => {
      const query = sql`SELECT COUNT(*) AS count ${fromSource(day, slice.source)} WHERE ${onDate(slice, range)}`
      const [row] = allRows<{ count: string | number }>(await db.execute(query))
      return Number(row?.count ?? 0) * slice.share
    }),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}
