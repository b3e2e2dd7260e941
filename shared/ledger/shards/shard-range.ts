import type { UserType } from "../../../schemas/database/user-type.ts"
import { parseRange, type Range, rangeFields } from "../../range.ts"
import type { Shard } from "./find-shards.ts"

type RangeColumns = Pick<Shard, "rangeFrom" | "rangeTo">

/** The range of a ledger row, of users of this type. Throws a RangeError for what is no key of theirs. */
export function shardRange(userType: UserType, shard: RangeColumns): Range {
  return parseRange(userType, boundsOf(shard))
}

/** The same as documents have it. In the ledger an end without a bound is null. */
export function boundsOf({ rangeFrom, rangeTo }: RangeColumns): { from?: string; to?: string } {
  return { ...(rangeFrom === null ? {} : { from: rangeFrom }), ...(rangeTo === null ? {} : { to: rangeTo }) }
}

/** The columns of a range in a ledger row. */
export function rangeColumns(range: Range): RangeColumns {
  const { from = null, to = null } = rangeFields(range)
  return { rangeFrom: from, rangeTo: to }
}
