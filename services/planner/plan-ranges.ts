import { and, gt, gte, type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { type ShopSource, shopLayout, shopSources } from "../../schemas/database/shop.ts"
import { parseUserId, type UserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { fromSource, inDates, keyColumns, type ShopDay, shopDates } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"
import { countBuyers } from "./count-buyers.ts"

// A day in another time zone lies on two UTC dates, each with its own slice of the index, and each of several sources has
// slices of its own. They are probed apart, at steps this much finer than a shard, and merged: a shard is then off by at
// most a step for each slice.
const STEPS_PER_SHARD_ACROSS_SLICES = 20

// Ten shards for each task that an execution can have. More would only be overhead: shards should then be bigger.
export const SHARDS_MAX = 100_000

/** A user, and what orders users as their column does. */
interface PlacedUser {
  userId: UserId
  order: bigint | string
}

/** One user of a walk along the index, and how many rows lie between the previous one and it. */
interface Mark extends PlacedUser {
  rows: number
}

export interface PlanOptions {
  shardPurchases: number
  /** Where to begin: what lies before it is cut already. The beginning by default. */
  from?: UserId | undefined
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
async function* cutDaySlices(db: Database, day: ShopDay, options: PlanOptions): AsyncGenerator<UserId> {
  const { shardPurchases, from } = options
  const slices = shopSources.flatMap((source) => shopDates(source, day).map((date) => ({ source, date })))
  const step = slices.length === 1 ? shardPurchases : Math.ceil(shardPurchases / STEPS_PER_SHARD_ACROSS_SLICES)
  let last: bigint | string | undefined
  let held = 0
  for await (const mark of mergeMarks(slices.map((slice) => walkSlice(db, day, slice, step, from)))) {
    held += mark.rows
    if (held < shardPurchases || mark.order === last) continue
    yield mark.userId
    last = mark.order
    held = 0
  }
}

/** Counts each user's rows, with nothing in memory but a batch of them, and yields the user at each cut. */
async function* cutUserBatches(db: Database, day: ShopDay, options: PlanOptions): AsyncGenerator<UserId> {
  let held = 0
  for await (const { userId, rows } of countBuyers(db, day, { from: options.from, to: undefined })) {
    if (held > 0 && held + rows > options.shardPurchases) {
      yield userId
      held = 0
    }
    held += rows
  }
}

/** Merges the walks along several slices into one, in the order of the users. */
async function* mergeMarks(walks: AsyncGenerator<Mark>[]): AsyncGenerator<Mark> {
  const heads = walks.map((walk) => walk.next())
  for (;;) {
    const results = await Promise.all(heads)
    let least: { at: number; mark: Mark } | undefined
    for (const [at, { done, value }] of results.entries()) {
      if (!done && (least === undefined || value.order < least.mark.order)) least = { at, mark: value }
    }
    if (!least) return
    const walk = walks[least.at]
    // The next probe is under way while this mark is looked at.
    if (walk) heads[least.at] = walk.next()
    yield least.mark
  }
}

/** One date of one source. */
interface Slice {
  source: ShopSource
  date: string
}

/**
 * Marks the user at about every `step`-th row of a slice. Each probe begins where the last one ended, so that together
 * they read each entry of the date once.
 */
async function* walkSlice(
  db: Database,
  day: ShopDay,
  slice: Slice,
  step: number,
  from: UserId | undefined,
): AsyncGenerator<Mark> {
  const { userId } = slice.source.table
  let first = await probe(db, day, slice, from === undefined ? undefined : gte(userId, from), 0)
  while (first !== undefined) {
    let next = await probe(db, day, slice, gte(userId, first.userId), step)
    // One user alone holds a step or more: the mark is the next user.
    if (next?.order === first.order) next = await probe(db, day, slice, gt(userId, first.userId), 0)
    if (next !== undefined) yield { ...next, rows: step }
    first = next
  }
}

/** The user of the row `offset` places after the first that matches. */
async function probe(
  db: Database,
  day: ShopDay,
  { source, date }: Slice,
  where: SQL | undefined,
  offset: number,
): Promise<PlacedUser | undefined> {
  const column = sql`${source.table.userId}`
  const [row] = allRows<{ userId: string | number; userOrder?: string }>(
    await db.execute(sql`
      SELECT ${keyColumns({ userId: column, currency: undefined })} ${fromSource(day, source)}
      WHERE ${and(inDates(source, day, {}, [date]), where)} ORDER BY ${column} LIMIT 1 OFFSET ${offset}`),
  )
  if (!row) return undefined
  const userId = parseUserId(shopLayout.userType, String(row.userId))
  return { userId, order: row.userOrder ?? userId }
}
