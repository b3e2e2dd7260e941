import type { UserId } from "../../schemas/database/user-type.ts"
import type { Range, Span } from "../range.ts"

/** What one user spent on a day. */
export interface Spent {
  /** Minor units: a decimal integer, which in the shop may exceed 64 bits. */
  amountCents: string
  purchases: bigint
  /** Further sums by their names. */
  measures: Record<string, string>
}

/** What one user spent in one currency, where there are several. */
export interface UserSpent {
  userId: UserId
  /** Orders the users as their column does, and is the same for whom it takes for one. */
  order: bigint | string
  currency: string | undefined
  spent: Spent
}

/** A user whose revenue is another one: `before` or `after` is undefined where there is none. */
export interface UserChange {
  userId: UserId
  currency: string | undefined
  before: Spent | undefined
  after: Spent | undefined
}

/** All that users of a span spent, in their order, up to one user, or to the end of the span. */
export interface Page {
  users: UserSpent[]
  /** The last user who is in it with everything; undefined if it reaches the end of the span. */
  last: UserSpent | undefined
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

function upTo(users: UserSpent[], last: UserSpent | undefined): UserSpent[] {
  return last ? users.filter(({ order }) => order <= last.order) : users
}

function* mergeChanges(before: UserSpent[], after: UserSpent[]): Generator<UserChange> {
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
      before: order <= 0 ? old?.spent : undefined,
      after: order >= 0 ? now?.spent : undefined,
    }
    if (!isSame(change.before, change.after)) yield change
  }
}

function compareUsers(a: UserSpent, b: UserSpent): number {
  if (a.order !== b.order) return a.order < b.order ? -1 : 1
  if (a.currency === b.currency) return 0
  return (a.currency ?? "") < (b.currency ?? "") ? -1 : 1
}

function isSame(a: Spent | undefined, b: Spent | undefined): boolean {
  if (!a || !b) return a === b
  const names = Object.keys(a.measures)
  return (
    a.amountCents === b.amountCents &&
    a.purchases === b.purchases &&
    names.every((name) => a.measures[name] === b.measures[name])
  )
}
