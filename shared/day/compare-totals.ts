import type { UserId } from "../../schemas/database/user-type.ts"
import type { Range, Span } from "../range.ts"
import { type Sums, sameSums } from "./totals.ts"

/** What one user spent in one currency, where there are several. */
export interface UserSums {
  userId: UserId
  /** Orders the users as their column does, and is the same for whom it takes for one. */
  order: bigint | string
  currency: string | undefined
  sums: Sums
}

/** A user whose revenue is another one: `before` or `after` is undefined where there is none. */
export interface UserChange {
  userId: UserId
  currency: string | undefined
  before: Sums | undefined
  after: Sums | undefined
}

/** All that users of a span spent, in their order, up to one user, or to the end of the span. */
export interface Page {
  users: UserSums[]
  /** The last user who is in it with everything; undefined if it reaches the end of the span. */
  last: UserSums | undefined
}

/** Reads what users of a span spent: at least `limit` of them, or all there are. */
export type ReadPage = (span: Span, limit: number) => Promise<Page>

// Some megabytes on either side.
const USERS_PER_PAGE = 5_000

/**
 * Compares what two sources say of the users of a range and yields those who differ, in the order of the users. Memory
 * holds one page of each side, whatever the size of the range; no connection is held between two pages.
 */
export async function* compareTotals(
  readBefore: ReadPage,
  readAfter: ReadPage,
  range: Range,
  usersPerPage = USERS_PER_PAGE,
): AsyncGenerator<UserChange> {
  let rest: Span = range
  for (;;) {
    const before = await readBefore(rest, usersPerPage)
    // The other side is read to where this one has got.
    const after = await readAfter({ ...rest, through: before.last?.userId }, usersPerPage)
    // And if that got less far, this one counts to there only, and is read again from there.
    const last = after.last ?? before.last
    yield* mergeChanges(upTo(before.users, last), after.users)
    if (!last) return
    rest = { ...range, after: last.userId }
  }
}

function upTo(users: UserSums[], last: UserSums | undefined): UserSums[] {
  return last ? users.filter(({ order }) => order <= last.order) : users
}

function* mergeChanges(before: UserSums[], after: UserSums[]): Generator<UserChange> {
  let left = 0
  let right = 0
  for (;;) {
    const old = before[left]
    const now = after[right]
    if (!old && !now) return
    const order = !old ? 1 : !now ? -1 : compareUsers(old, now)
    if (order <= 0) left++
    if (order >= 0) right++
    const first = order <= 0 ? old : now
    if (!first) return
    const change = {
      userId: first.userId,
      currency: first.currency,
      before: order <= 0 ? old?.sums : undefined,
      after: order >= 0 ? now?.sums : undefined,
    }
    if (!sameSums(change.before, change.after)) yield change
  }
}

function compareUsers(a: UserSums, b: UserSums): number {
  if (a.order !== b.order) return a.order < b.order ? -1 : 1
  if (a.currency === b.currency) return 0
  return (a.currency ?? "") < (b.currency ?? "") ? -1 : 1
}
