import type { AccessPath } from "../../schemas/database/ledger.ts"
import type { UserId } from "../../schemas/database/user-type.ts"
import type { Database } from "../../shared/database/open-database.ts"
import type { ShopDay } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"
import { countBuyers } from "./count-buyers.ts"
import { cutByEstimates } from "./estimate-slices.ts"
import type { PlacedUser, PlanPiece } from "./part.ts"
import { sampleUsers } from "./sample-users.ts"
import { findEnd } from "./walk-slices.ts"

// Ten shards for each task that an execution can have. More would only be overhead: shards should then be bigger.
export const SHARDS_MAX = 100_000

export interface PlanOptions {
  shardPurchases: number
  /** Where to begin: what lies before it is cut already. The beginning by default. */
  from?: UserId | undefined
  /** The last of so many holds all the rest, however much it is. */
  shardsMax?: number
}

/**
 * Cuts the users into ranges of about `shardPurchases` purchases of the day each: one user's are never split. Yields each
 * range as soon as it is cut. Together they tile the ids from `from` on, the last without an upper bound; a day without
 * purchases is one range.
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
  "day-scan": cutScan,
  "user-batches": cutUserBatches,
}

// Of a part that is a bigger share of a shard than this one is looked at where in it the shard should end.
const COARSE_SHARE = 1 / 16

// A shard is longer or shorter by as much at most to make up for what those before it were off by.
const MAKE_UP_SHARE = 1 / 4

/**
 * Makes shards of parts of the day's index, and yields the user at each cut: where the rows so far are nearest to what they
 * should be, so that what one shard is off by is not the next one's too, and they do not become more than need be.
 */
async function* cutDaySlices(db: Database, day: ShopDay, options: PlanOptions): AsyncGenerator<UserId> {
  const { shardPurchases, from } = options
  const first = await findEnd(db, day, { from })
  let last = first?.order
  let rows = 0
  let cutAt = 0
  let mark = shardPurchases
  const isTooCoarse = (part: PlanPiece) =>
    part.rows > shardPurchases * COARSE_SHARE && rows < mark && rows + part.rows > mark
  for await (const part of cutFiner(cutByEstimates(db, day, { from }, first, shardPurchases), isTooCoarse)) {
    // Who has much more than is missing begins a shard.
    const isNearer = rows - cutAt >= shardPurchases / 4 && rows + part.rows / 2 > mark
    const user = rows >= mark || isNearer ? await findUser(db, day, part) : undefined
    if (user && last !== undefined && user.order > last) {
      yield user.userId
      last = user.order
      cutAt = rows
      mark = Math.abs(mark - cutAt) <= shardPurchases * MAKE_UP_SHARE ? mark : cutAt
      mark += shardPurchases
    }
    rows += part.rows
  }
}

/** Cuts those parts into smaller ones that ask for it. */
async function* cutFiner(
  parts: AsyncGenerator<PlanPiece>,
  isTooCoarse: (part: PlanPiece) => boolean,
): AsyncGenerator<PlanPiece> {
  for await (const part of parts) {
    if (part.cutFiner && isTooCoarse(part)) yield* await part.cutFiner()
    else yield part
  }
}

/** Who comes first in a part, or after it. */
async function findUser(db: Database, day: ShopDay, { from, order }: PlanPiece): Promise<PlacedUser | undefined> {
  return order === undefined ? findEnd(db, day, { from }) : { userId: from, order }
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

/** Cuts at the quantiles of a sample of the day's purchases: into as many equal shards as its size asks for. */
async function* cutScan(db: Database, day: ShopDay, { shardPurchases, from }: PlanOptions): AsyncGenerator<UserId> {
  const users = await sampleUsers(db, day, { from }, shardPurchases)
  const all = users.reduce((sum, { rows }) => sum + rows, 0)
  const share = all / Math.ceil(all / shardPurchases)
  let rows = 0
  let mark = share
  for (const { userId, rows: ofUser } of users) {
    // Where a user begins nearer to the mark than they end; fractions must not make a shard of nothing at the end.
    if (rows > 0 && mark < all - share / 4 && mark - rows <= rows + ofUser - mark) {
      yield userId
      mark = share * (Math.round(rows / share) + 1)
    }
    rows += ofUser
  }
}
