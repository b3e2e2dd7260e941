import { and, gt, gte, lt, type SQL, sql } from "drizzle-orm"
import type { ShopSource } from "../../schemas/database/shop.ts"
import { parseUserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import {
  type DaySlice,
  fromSource,
  inDateSlice,
  keyColumns,
  listSlices,
  onDate,
  type ShopDay,
} from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"
import type { PlacedUser, PlanPiece } from "./part.ts"

// A day in another time zone lies on two UTC dates, each with its own slice of the index, and each of several sources has
// slices of its own. They are probed apart, at steps this much finer than a shard, and merged: a shard is then off by at
// most a step for each slice.
const STEPS_PER_SHARD_ACROSS_SLICES = 20

/** Cuts a range into parts of about a shard, by reading each entry of the day's index once, without a sort. */
export function walkSlices(
  db: Database,
  day: ShopDay,
  range: Range,
  shardPurchases: number,
): AsyncGenerator<PlanPiece> {
  const slices = listSlices(day)
  const step = slices.length === 1 ? shardPurchases : Math.ceil(shardPurchases / STEPS_PER_SHARD_ACROSS_SLICES)
  return mergeParts(slices.map((slice) => walkSlice(db, day, slice, step, range)))
}

/** The first user of a range who is in the day's dates, or the last; not asked is whether at a time that is the day's. */
export async function findEnd(
  db: Database,
  day: ShopDay,
  { from, to }: Range,
  end: "first" | "last" = "first",
): Promise<PlacedUser | undefined> {
  const found = await Promise.all(
    listSlices(day).map((slice) => {
      const where = onDate(slice, { from, to })
      return readUser(db, day, slice.source, where, sql`${sql.raw(end === "first" ? "ASC" : "DESC")} LIMIT 1`)
    }),
  )
  return found.reduce((best, user) => {
    if (!best || !user) return best ?? user
    return user.order < best.order === (end === "first") ? user : best
  }, undefined)
}

/** Merges the walks along several slices into one, in the order of the users. */
async function* mergeParts(walks: AsyncGenerator<WalkedPiece>[]): AsyncGenerator<PlanPiece> {
  const heads = walks.map((walk) => walk.next())
  for (;;) {
    const results = await Promise.all(heads)
    let least: { at: number; part: WalkedPiece } | undefined
    for (const [at, { done, value }] of results.entries()) {
      if (!done && (least === undefined || value.order < least.part.order)) least = { at, part: value }
    }
    if (!least) return
    const walk = walks[least.at]
    // The next probe is under way while this part is looked at.
    if (walk) heads[least.at] = walk.next()
    yield least.part
  }
}

type WalkedPiece = PlanPiece & PlacedUser

/**
 * Cuts a slice at the user of about every `step`-th row. Each probe begins where the last one ended, so that together
 * they read each entry of the date once.
 */
async function* walkSlice(
  db: Database,
  day: ShopDay,
  slice: DaySlice,
  step: number,
  { from, to }: Range,
): AsyncGenerator<WalkedPiece> {
  const { userId } = slice.source.table
  const probeFrom = (start: SQL | undefined, offset: number) =>
    probe(db, day, slice, and(start, to === undefined ? undefined : lt(userId, to)), offset)
  let user = await probeFrom(from === undefined ? undefined : gte(userId, from), 0)
  while (user !== undefined) {
    yield { ...user, from: user.userId, rows: step }
    const next = await probeFrom(gte(userId, user.userId), step)
    // One user alone holds a step or more: the next part begins after it.
    user = next?.order === user.order ? await probeFrom(gt(userId, user.userId), 0) : next
  }
}

/** The user of the row `offset` places after the first that matches. */
function probe(
  db: Database,
  day: ShopDay,
  slice: DaySlice,
  where: SQL | undefined,
  offset: number,
): Promise<PlacedUser | undefined> {
  return readUser(db, day, slice.source, and(inDateSlice(day, slice, {}), where), sql`LIMIT 1 OFFSET ${offset}`)
}

async function readUser(
  db: Database,
  day: ShopDay,
  source: ShopSource,
  where: SQL | undefined,
  which: SQL,
): Promise<PlacedUser | undefined> {
  const { layout } = day.shop
  const column = sql`${source.table.userId}`
  const [row] = allRows<{ userId: string | number; userOrder?: string }>(
    await db.execute(sql`
      SELECT ${keyColumns({ layout, userId: column, currency: undefined })} ${fromSource(day, source)}
      WHERE ${where} ORDER BY ${column} ${which}`),
  )
  if (!row) return undefined
  const userId = parseUserId(layout.userType, String(row.userId))
  return { userId, order: row.userOrder ?? userId }
}
