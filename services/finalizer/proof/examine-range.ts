import type { Database } from "../../../shared/database/open-database.ts"
import { readSource } from "../../../shared/database/read-source.ts"
import { compareTotals, type UserChange } from "../../../shared/day/compare-totals.ts"
import { readRowTotals, readShopTotals } from "../../../shared/day/read-totals.ts"
import type { RevenueVersion } from "../../../shared/day/revenue-rows.ts"
import type { ShopDay } from "../../../shared/day/shop-day.ts"
import type { Range } from "../../../shared/range.ts"

/** Who differs between a version's rows and the shop. */
export interface Examination {
  usersDiffering: bigint
  /** Users whom the shop has and Revenue has not, less those of whom it is the other way. */
  usersMore: bigint
  /** The first that differ, in the order of their ids. */
  users: UserChange[]
}

// Each page of a day that is read as it is passes over all of it, so that it is as big as memory bears: about 50 MB.
const USERS_PER_SCAN = 100_000

// Enough for a person to see what happened; a rerun takes in all of them whether they are named or not.
const USERS_NAMED_MAX = 20

/** Looks at each user of a range, in Revenue and in the shop as it is now. */
export async function examineRange(
  db: Database,
  shopDb: Database,
  run: RevenueVersion & ShopDay,
  range: Range,
): Promise<Examination> {
  const found: Examination = { usersDiffering: 0n, usersMore: 0n, users: [] }
  const readShop = readShopTotals(shopDb, run)
  // What the shop fails with must be told from what the database fails with.
  const readAfter = (of: Range, limit: number) => readSource(() => readShop(of, limit))
  const usersPerPage = run.accessPath === "day-scan" ? USERS_PER_SCAN : undefined
  for await (const change of compareTotals(readRowTotals(db, run), readAfter, range, usersPerPage)) {
    found.usersDiffering++
    if (!change.before) found.usersMore++
    if (!change.after) found.usersMore--
    if (found.users.length < USERS_NAMED_MAX) found.users.push(change)
  }
  return found
}
