import { and, gt, gte, type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { purchases } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { fromPurchases, inSlice, type ShopDay, shopDates } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"
import { countBuyers } from "./count-buyers.ts"

// A day in another time zone lies on two UTC dates, each with its own slice of the index. They are probed apart, at
// steps this much finer than a shard, and merged: a shard is then off by at most two steps.
const STEPS_PER_SHARD_ACROSS_DATES = 20

// Ten shards for each task that an execution can have. More would only be overhead: shards should then be bigger.
export const SHARDS_MAX = 100_000

/** One user id of a walk along the index, and how many purchases lie between the previous one and it. */
interface Mark {
  userId: bigint
  purchases: number
}

export interface PlanOptions {
  shardPurchases: number
  /** Where to begin: what lies before it is cut already. The beginning by default. */
  from?: bigint | undefined
  /** The last of so many holds all the rest, however much it is. */
  shardsMax?: number
}

/**
 * Cuts the users into ranges of about `shardPurchases` purchases of the day each, to within one user's purchases: one
 * user's are never split. Yields each range as soon as it is cut. Together they tile the ids from `from` on, the last
 * without an upper bound; a day without purchases is one range.
 */
export async function* planRanges(db: Database, day: ShopDay, options: PlanOptions): AsyncGenerator<Range> {
  let from = options.from
  let shards = 1
  for await (const to of cutByPath[day.accessPath](db, day, options)) {
    if (shards++ >= (options.shardsMax ?? SHARDS_MAX)) break
    yield { from, to }
    from = to
  }
  yield { from, to: undefined }
}

const cutByPath: Record<AccessPath, typeof cutDaySlices> = {
  "day-slice": cutDaySlices,
  "user-batches": cutUserBatches,
}

/** Walks the day's index once, without a sort, and yields the user at each cut. */
async function* cutDaySlices(db: Database, day: ShopDay, options: PlanOptions): AsyncGenerator<bigint> {
  const { shardPurchases, from } = options
  const dates = shopDates(day)
  const step = dates.length === 1 ? shardPurchases : Math.ceil(shardPurchases / STEPS_PER_SHARD_ACROSS_DATES)
  let last = from
  let held = 0
  for await (const mark of mergeMarks(dates.map((date) => walkDate(db, day, date, step, from)))) {
    held += mark.purchases
    if (held < shardPurchases || mark.userId === last) continue
    yield mark.userId
    last = mark.userId
    held = 0
  }
}

/** Counts each user's purchases, with nothing in memory but a batch of them, and yields the user at each cut. */
async function* cutUserBatches(db: Database, day: ShopDay, options: PlanOptions): AsyncGenerator<bigint> {
  let held = 0
  for await (const { userId, purchases } of countBuyers(db, day, { from: options.from, to: undefined })) {
    if (held > 0 && held + purchases > options.shardPurchases) {
      yield userId
      held = 0
    }
    held += purchases
  }
}

/** Merges the walks along several dates into one, in the order of the user ids. */
async function* mergeMarks(walks: AsyncGenerator<Mark>[]): AsyncGenerator<Mark> {
  const heads = walks.map((walk) => walk.next())
  for (;;) {
    const results = await Promise.all(heads)
    let least: { at: number; mark: Mark } | undefined
    for (const [at, { done, value }] of results.entries()) {
      if (!done && (least === undefined || value.userId < least.mark.userId)) least = { at, mark: value }
    }
    if (!least) return
    const walk = walks[least.at]
    // The next probe is under way while this mark is looked at.
    if (walk) heads[least.at] = walk.next()
    yield least.mark
  }
}

/**
 * Marks the user at about every `step`-th purchase of one UTC date. Each probe begins where the last one ended, so
 * that together they read each entry of the date once.
 */
async function* walkDate(
  db: Database,
  day: ShopDay,
  date: string,
  step: number,
  from: bigint | undefined,
): AsyncGenerator<Mark> {
  let first = await probe(db, day, date, from === undefined ? undefined : gte(purchases.userId, from), 0)
  while (first !== undefined) {
    let next = await probe(db, day, date, gte(purchases.userId, first), step)
    // One user alone holds a step or more: the mark is the next user.
    if (next === first) next = await probe(db, day, date, gt(purchases.userId, first), 0)
    if (next !== undefined) yield { userId: next, purchases: step }
    first = next
  }
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
