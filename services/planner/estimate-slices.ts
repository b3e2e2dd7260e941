import type { UserId } from "../../schemas/database/user-type.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { estimateRanges } from "../../shared/day/estimate-day.ts"
import type { ShopDay } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"
import { countRows, findCountedMax } from "./estimate-scale.ts"
import type { PlacedUser, PlanPiece } from "./part.ts"
import { splitKeys } from "./split-keys.ts"
import { findEnd, walkSlices } from "./walk-slices.ts"

/*
 * The optimizer of either server knows about how many entries of an index lie between two keys by following both down
 * the tree ("index dives": https://dev.mysql.com/doc/refman/8.4/en/range-optimization.html): a few pages, however many
 * entries there are.
 */

// A smaller day is read in less time than it is estimated.
const WALK_ROWS = 50_000

// A shard of fewer is found by one probe in less time than its parts are estimated.
const WALK_SHARD_ROWS = 2_000

// A shard is off by half of such a part, and by what the estimates of its parts are off together.
const PARTS_PER_SHARD = 8

const PIECES_PER_PART = 6

// Of parts that are smaller than they need be by so much, few are too big.
const SPARE_PARTS = 1.5
const TOO_BIG = 2

// Estimates of a part are within a tenth or two.
const TRUSTED_FACTOR = 1.6

// More pages than those that are counted to estimate them, where that is all.
const SAMPLE_ROWS = 5_000

// A statement of so many estimates takes some milliseconds.
const ESTIMATES_AT_ONCE = 64

// Numbers of 64 bits are cut to single ones in fewer.
const DEPTH_MAX = 40

interface Walk {
  db: Database
  day: ShopDay
  shardPurchases: number
  /** Up to which number an estimate is a count, where that was found. */
  countedMax: number | undefined
  /** Whether about as much was there as was estimated; undefined until it was looked at. */
  isTrusted?: boolean
}

/** What is still to be cut: the users of a range, none beyond the last of them. */
interface Rest {
  range: Range & { from: UserId }
  last: UserId
  rows: number
  depth: number
}

/**
 * Cuts a range of a day's users, from the first of them, into parts well below a shard, in their order, without reading the
 * day. What cannot be estimated is walked along: a small day or small shards, keys between which none can be named, an index
 * of which estimates are wrong.
 */
export async function* cutByEstimates(
  db: Database,
  day: ShopDay,
  range: Range,
  first: PlacedUser | undefined,
  shardPurchases: number,
): AsyncGenerator<PlanPiece> {
  const [rows = 0] = shardPurchases <= WALK_SHARD_ROWS ? [] : await estimateRanges(db, day, [range])
  const last = rows <= WALK_ROWS ? undefined : await findEnd(db, day, range, "last")
  if (!first || !last) {
    yield* walkSlices(db, day, range, shardPurchases)
    return
  }
  const whole = { ...range, from: first.userId }
  const walk: Walk = { db, day, shardPurchases, countedMax: await findCountedMax(db, day, whole, last.userId) }
  yield* cutRemainingRange(walk, { range: whole, last: last.userId, rows, depth: 0 })
}

async function* cutRemainingRange(walk: Walk, { range, last, rows, depth }: Rest): AsyncGenerator<PlanPiece> {
  const { db, day, shardPurchases } = walk
  const partRows = shardPurchases / PARTS_PER_SHARD
  const keys = splitKeys(day.shop.layout.userType, range.from, last, Math.ceil((rows / partRows) * SPARE_PARTS))
  if (keys.length === 0 || depth > DEPTH_MAX) {
    yield* walkSlices(db, day, range, shardPurchases)
    return
  }
  const starts = [range.from, ...keys]
  for (let at = 0; at < starts.length; at += ESTIMATES_AT_ONCE) {
    const ends = starts.slice(at + 1, at + 1 + ESTIMATES_AT_ONCE)
    const ranges = starts.slice(at, at + ESTIMATES_AT_ONCE).map((from, n) => ({ from, to: ends[n] ?? range.to }))
    // Where nearly all is among the first, the others need no look of their own.
    const next = starts[at + ESTIMATES_AT_ONCE]
    const beyond = next === undefined ? [] : [{ from: next, to: range.to }]
    const estimates = await estimateRanges(db, day, [...ranges, ...beyond], walk.countedMax)
    for (const [n, part] of ranges.entries()) {
      const estimate = estimates[n] ?? 0
      const isTooBig = estimate > partRows * TOO_BIG
      const partLast = ends[n] ?? last
      if (!isTooBig && estimate > partRows / 2) walk.isTrusted ??= await isTrue(walk, part, partLast, estimate)
      if (walk.isTrusted === false) {
        yield* walkSlices(db, day, { from: part.from, to: range.to }, shardPurchases)
        return
      }
      if (isTooBig) {
        yield* cutPart(walk, { range: part, last: partLast, rows: estimate, depth: depth + 1 }, rows)
      } else if (estimate > 1) {
        const cutFiner = () => cutPieces(walk, part, partLast, estimate)
        yield { from: part.from, rows: estimate, cutFiner }
      }
    }
    const left = estimates[ranges.length]
    if (next !== undefined && left !== undefined && left <= partRows) {
      yield { from: next, rows: left }
      return
    }
  }
}

/** Cuts a part into pieces that have as many rows together as it has. */
async function cutPieces(
  { db, day, countedMax }: Walk,
  { from, to }: Range & { from: UserId },
  last: UserId,
  rows: number,
): Promise<PlanPiece[]> {
  const starts = [from, ...splitKeys(day.shop.layout.userType, from, last, PIECES_PER_PART)]
  const ranges = starts.map((start, at) => ({ from: start, to: starts[at + 1] ?? to }))
  const estimates = await estimateRanges(db, day, ranges, countedMax)
  const sum = estimates.reduce((all, estimate) => all + estimate, 0)
  // Its rows may have been deleted meanwhile.
  if (sum === 0) return [{ from, rows }]
  return ranges.map((range, at) => ({ from: range.from, rows: (rows * (estimates[at] ?? 0)) / sum }))
}

/** Cuts a part that is too big. Where it has most of what the whole has, its users are looked up: they may be few, or one. */
async function* cutPart(walk: Walk, part: Rest, wholeRows: number): AsyncGenerator<PlanPiece> {
  if (part.rows < wholeRows / 2) {
    yield* cutRemainingRange(walk, part)
    return
  }
  const { db, day } = walk
  const [first, last] = await Promise.all([findEnd(db, day, part.range), findEnd(db, day, part.range, "last")])
  if (!first || !last) return
  if (first.order === last.order) yield { from: first.userId, order: first.order, rows: part.rows }
  else yield* cutRemainingRange(walk, { ...part, range: { ...part.range, from: first.userId }, last: last.userId })
}

/**
 * Whether about as many rows are there as an estimate says, in the beginning of a part: the index still has those that were
 * deleted just now.
 */
async function isTrue(
  { db, day, countedMax }: Walk,
  { from, to }: Range & { from: UserId },
  last: UserId,
  rows: number,
): Promise<boolean> {
  const [end] = splitKeys(day.shop.layout.userType, from, last, Math.ceil(rows / SAMPLE_ROWS))
  const sample = { from, to: end ?? to }
  const [count, [estimate = 0]] = await Promise.all([
    countRows(db, day, sample),
    estimateRanges(db, day, [sample], countedMax),
  ])
  return count * TRUSTED_FACTOR >= estimate && count <= estimate * TRUSTED_FACTOR
}
