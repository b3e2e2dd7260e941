import { sql } from "drizzle-orm"
import { shopLayout } from "../../schemas/database/shop.ts"
import type { UserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { explainSlices } from "../../shared/day/estimate-day.ts"
import { fromSource, listSlices, onDate, type ShopDay } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"
import { splitKeys } from "./split-keys.ts"

// Numbers of 64 bits are halved to single ones in as many steps.
const STEPS_MAX = 64

// What is doubled is twice the sum of its halves that are counted.
const FALL_MIN = 1.6

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
  let part = { range, last, said: whole[slice] ?? 0 }
  for (let step = 0; step < STEPS_MAX; step++) {
    const [middle] = splitKeys(shopLayout.userType, part.range.from, part.last, 2)
    if (middle === undefined) return undefined
    const halves = [
      { range: { from: part.range.from, to: middle }, last: middle },
      { range: { from: middle, to: part.range.to }, last: part.last },
    ]
    const said = (
      await explainSlices(
        db,
        day,
        halves.map((half) => half.range),
      )
    ).map((each) => each[slice] ?? 0)
    const sum = said.reduce((all, half) => all + half, 0)
    const most = Math.max(...said)
    // Ten pages have more than the bigger half and less than both; what is doubled begins at twice as much.
    if (part.said >= sum * FALL_MIN) return Math.sqrt(2 * most * sum)
    const half = halves[said.indexOf(most)]
    if (!half) return undefined
    part = { ...half, said: most }
  }
  return undefined
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
