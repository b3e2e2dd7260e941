import { parseUserId, type UserId, type UserType } from "../schemas/database/user-type.ts"

/** A half-open interval `[from, to)` of users' keys; an end that is undefined has no bound. */
export interface Range {
  from?: UserId | undefined
  to?: UserId | undefined
}

/** What of a range is still to be read: after one user, through another. */
export interface Span extends Range {
  after?: UserId | undefined
  through?: UserId | undefined
}

/** One user alone. */
export const ofUser = (userId: UserId): Span => ({ from: userId, through: userId })

interface RangeFields {
  from?: string | undefined
  to?: string | undefined
}

/** As documents have it: an end without a bound is a field that is not there. */
export function rangeFields({ from, to }: Range): { from?: string; to?: string } {
  return { ...(from === undefined ? {} : { from: String(from) }), ...(to === undefined ? {} : { to: String(to) }) }
}

/** Reads the fields of a document. Throws a RangeError for what is no key of users of this type. */
export function parseRange(userType: UserType, { from, to }: RangeFields): Range {
  const parse = (key: string | undefined) => (key === undefined ? undefined : parseUserId(userType, key))
  return { from: parse(from), to: parse(to) }
}

/** `[17, 42)`, `(-∞, 42)`: for people. */
export function formatRange(range: Range): string {
  return `${range.from === undefined ? "(-∞" : `[${range.from}`}, ${range.to === undefined ? "∞" : range.to})`
}

/** Whether a document's fields say a range. */
export function isRange(fields: RangeFields, { from, to }: Range): boolean {
  const said = rangeFields({ from, to })
  return fields.from === said.from && fields.to === said.to
}

/**
 * Says where ranges, in the order of their indexes, fail to tile all users: the first must have no lower bound, the last no
 * upper, and each must begin where the one before ends. Undefined if they do. Which of two texts comes first is what the
 * shop's column says, so that of an order that is not a number's nothing is said here but that no range is empty.
 */
export function findGap(ranges: Range[]): { index: number; reason: string } | undefined {
  if (ranges.length === 0) return { index: 0, reason: "there is no range at all" }
  for (const [index, range] of ranges.entries()) {
    const before = ranges[index - 1]
    if (!before && range.from !== undefined) return { index, reason: `ids below ${range.from} belong to no shard` }
    if (before && (range.from === undefined || range.from !== before.to)) {
      return { index, reason: `begins at ${range.from ?? "-∞"} and the shard before ends at ${before.to ?? "∞"}` }
    }
    if (range.from !== undefined && range.to !== undefined && isEmpty(range.from, range.to)) {
      return { index, reason: `${formatRange(range)} is empty` }
    }
    if (index === ranges.length - 1 && range.to !== undefined) {
      return { index, reason: `ids from ${range.to} on belong to no shard` }
    }
  }
  return undefined
}

/** The same users in as few ranges as it takes: what begins where the one before ends goes with it. */
export function joinRanges(ranges: Range[]): Range[] {
  const joined: Range[] = []
  for (const range of ranges) {
    const before = joined.at(-1)
    if (before?.to !== undefined && before.to === range.from) joined[joined.length - 1] = { ...before, to: range.to }
    else joined.push(range)
  }
  return joined
}

function isEmpty(from: UserId, to: UserId): boolean {
  return typeof from === "bigint" && typeof to === "bigint" ? from >= to : from === to
}
