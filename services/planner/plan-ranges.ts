import { and, gt, gte, type SQL, sql } from "drizzle-orm"
import { purchases } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../../shared/database.ts"
import { PermanentError } from "../../shared/errors.ts"
import type { Range } from "../../shared/range.ts"
import { fromPurchases, inSlice, type ShopDay, utcDates } from "../../shared/shop-day.ts"
import { countBuyers } from "./count-buyers.ts"

// A day in another time zone lies on two UTC dates, each with its own piece of the index. They are probed apart, at
// steps this much finer than a shard, and merged: a shard is then off by at most two steps.
const STEPS_PER_SHARD_ACROSS_DATES = 20

// Ten shards for each task that an execution can have. More would only be overhead: shards should then be bigger.
export const SHARDS_MAX = 100_000

/** One user id of a walk along the index, and how many purchases lie between the previous one and it. */
interface Mark {
  userId: bigint
  purchases: number
}

/**
 * Cuts the users into ranges of about `shardPurchases` purchases of the day each, to within one user's purchases: one
 * user's are never split. Together the ranges tile the whole id space; a day without purchases is one range.
 */
export async function planRanges(
  db: Database,
  day: ShopDay,
  shardPurchases: number,
  shardsMax = SHARDS_MAX,
): Promise<Range[]> {
  const plan = day.sourceWay === "day-slice" ? planDaySlices : planUserBatches
  return plan(db, day, shardPurchases, shardsMax)
}

/** Walks the day's index once, without a sort. */
async function planDaySlices(db: Database, day: ShopDay, shardPurchases: number, shardsMax: number): Promise<Range[]> {
  const dates = utcDates(day)
  const step = dates.length === 1 ? shardPurchases : Math.ceil(shardPurchases / STEPS_PER_SHARD_ACROSS_DATES)
  const walks = await Promise.all(dates.map((date) => walkDate(db, day, date, step, shardsMax)))
  const ranges = cutRanges(mergeMarks(walks), shardPurchases)
  return ranges.length > shardsMax ? refuseSmallShards(shardsMax) : ranges
}

/** Counts each user's purchases, with nothing in memory but the cuts. */
async function planUserBatches(
  db: Database,
  day: ShopDay,
  shardPurchases: number,
  shardsMax: number,
): Promise<Range[]> {
  const ranges: Range[] = []
  let from: bigint | undefined
  let held = 0
  for await (const { userId, purchases } of countBuyers(db, day)) {
    if (held > 0 && held + purchases > shardPurchases) {
      ranges.push({ from, to: userId })
      if (ranges.length >= shardsMax) refuseSmallShards(shardsMax)
      from = userId
      held = 0
    }
    held += purchases
  }
  return [...ranges, { from, to: undefined }]
}

function refuseSmallShards(shardsMax: number): never {
  throw new PermanentError(
    `the day would have more than ${shardsMax} shards: make SHARD_PURCHASES bigger and start the date again`,
  )
}

/** Merges the walks along several dates into one, in the order of the user ids. */
export function mergeMarks(walks: Mark[][]): Mark[] {
  return walks.flat().toSorted((a, b) => (a.userId < b.userId ? -1 : a.userId > b.userId ? 1 : 0))
}

/** Cuts before each mark at which a shard is full. */
export function cutRanges(marks: Mark[], shardPurchases: number): Range[] {
  const ranges: Range[] = []
  let from: bigint | undefined
  let held = 0
  for (const mark of marks) {
    held += mark.purchases
    if (held < shardPurchases || mark.userId === from) continue
    ranges.push({ from, to: mark.userId })
    from = mark.userId
    held = 0
  }
  ranges.push({ from, to: undefined })
  return ranges
}

/**
 * Marks the user at about every `step`-th purchase of one UTC date. Each probe begins where the last one ended, so
 * that together they read each entry of the date once.
 */
async function walkDate(db: Database, day: ShopDay, date: string, step: number, shardsMax: number): Promise<Mark[]> {
  const marks: Mark[] = []
  let first = await probe(db, day, date, undefined, 0)
  while (first !== undefined) {
    if (marks.length > shardsMax * STEPS_PER_SHARD_ACROSS_DATES) refuseSmallShards(shardsMax)
    let next = await probe(db, day, date, gte(purchases.userId, first), step)
    // One user alone holds a step or more: the mark is the next user.
    if (next === first) next = await probe(db, day, date, gt(purchases.userId, first), 0)
    if (next !== undefined) marks.push({ userId: next, purchases: step })
    first = next
  }
  return marks
}

/** The user of the purchase `offset` places after the first that matches. */
async function probe(
  db: Database,
  day: ShopDay,
  date: string,
  where: SQL | undefined,
  offset: number,
): Promise<bigint | undefined> {
  const slice = and(inSlice(day, {}, [date]), where)
  const rows = allRows<{ userId: string }>(
    await db.execute(sql`
      SELECT ${purchases.userId} AS userId ${fromPurchases(day)} WHERE ${slice}
      ORDER BY ${purchases.userId} LIMIT 1 OFFSET ${offset}`),
  )
  return rows[0] ? BigInt(rows[0].userId) : undefined
}
