import type { Range } from "../range.ts"
import type { UserTotals } from "./shop-day.ts"

/** What one user spent on a day. */
export interface Spent {
  /** Minor units: a decimal integer, which in the shop may exceed 64 bits. */
  amountCents: string
  purchases: bigint
}

/** A user whose revenue is another one: `before` or `after` is undefined where there is none. */
export interface UserChange {
  userId: bigint
  before: Spent | undefined
  after: Spent | undefined
}

/**
 * Reads totals of users in a range, in the order of their ids: at least `limit` of them, or all there are. What is
 * returned are all users from the range's beginning to the last one returned.
 */
export type ReadTotals = (range: Range, limit: number) => Promise<UserTotals[]>

// Some megabytes on either side.
const USERS_PER_PAGE = 5_000

/**
 * Compares what two sources say of the users of a range and yields those who differ, in the order of their ids. Memory
 * holds one page of each side, whatever the size of the range; no connection is held between two pages.
 */
export async function* compareTotals(
  readBefore: ReadTotals,
  readAfter: ReadTotals,
  range: Range,
  usersPerPage = USERS_PER_PAGE,
): AsyncGenerator<UserChange> {
  let from = range.from
  for (;;) {
    const before = await readBefore({ from, to: range.to }, usersPerPage)
    // The other side is read to where this one has got.
    const to = before.length < usersPerPage ? range.to : after(before)
    const others = await readAfter({ from, to }, usersPerPage)
    // And if that got less far, this one counts to there only, and is read again from there.
    const end = others.length < usersPerPage ? to : after(others)
    yield* mergeChanges(upTo(before, end), others)
    if (end === range.to) return
    from = end
  }
}

/** The id after the last one. */
function after(totals: UserTotals[]): bigint | undefined {
  const last = totals.at(-1)
  return last && BigInt(last[0]) + 1n
}

function upTo(totals: UserTotals[], end: bigint | undefined): UserTotals[] {
  return end === undefined ? totals : totals.filter(([userId]) => BigInt(userId) < end)
}

function* mergeChanges(before: UserTotals[], after: UserTotals[]): Generator<UserChange> {
  let left = 0
  let right = 0
  for (;;) {
    const old = before[left]
    const now = after[right]
    if (!old && !now) return
    const order = !old ? 1 : !now ? -1 : compareIds(old[0], now[0])
    if (order <= 0) left++
    if (order >= 0) right++
    const change = {
      userId: BigInt((order <= 0 ? old : now)?.[0] ?? 0),
      before: order <= 0 && old ? toSpent(old) : undefined,
      after: order >= 0 && now ? toSpent(now) : undefined,
    }
    if (!isSame(change.before, change.after)) yield change
  }
}

function compareIds(a: string, b: string): number {
  if (a === b) return 0
  return BigInt(a) < BigInt(b) ? -1 : 1
}

function toSpent([, amountCents, purchases]: UserTotals): Spent {
  return { amountCents, purchases: BigInt(purchases) }
}

function isSame(a: Spent | undefined, b: Spent | undefined): boolean {
  return a?.amountCents === b?.amountCents && a?.purchases === b?.purchases
}
