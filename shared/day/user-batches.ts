import { and, gt, gte, isNotNull, lt, type SQL, sql } from "drizzle-orm"
import { purchases } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../database/open-database.ts"
import type { Range } from "../range.ts"
import { duringDay, fromPurchases, type ShopDay } from "./shop-day.ts"

/**
 * How many users one statement names. MariaDB turns a list of 1,000 (in_predicate_conversion_threshold) into a join that
 * reads each user's whole history, and both servers give up on ranges at some size: MySQL at
 * range_optimizer_max_mem_size (8 MB; about 230 bytes a user), MariaDB at optimizer_max_sel_arg_weight (32,000). Bigger
 * lists are hardly faster: 9,382 users took 92 ms by 100, 86 ms by 500, 79 ms by 900.
 */
export const USERS_PER_BATCH = 500

/**
 * Selects the first users of a range, or those after `after`, who bought on the day. MIN makes it a loose scan of an
 * index that begins with (user_id, purchased_at): for each user two seeks, however long the history, "Using index for
 * group-by" in EXPLAIN. Where the history is so short that reading every entry is cheaper, the optimizer does that.
 * The ids are those of purchases: what `users` does not know is not lost.
 */
export function selectBuyers(day: ShopDay, range: Range, after?: bigint, limit = USERS_PER_BATCH): SQL {
  const { userId, purchasedAt } = purchases
  const fromUser = range.from === undefined ? isNotNull(userId) : gte(userId, range.from)
  const where = and(
    after === undefined ? fromUser : gt(userId, after),
    range.to === undefined ? undefined : lt(userId, range.to),
    ...duringDay(day),
  )
  return sql`SELECT ${userId} AS userId, MIN(${purchasedAt}) ${fromPurchases(day)} WHERE ${where}
    GROUP BY ${userId} ORDER BY ${userId} LIMIT ${sql.raw(String(limit))}`
}

/** The purchases of a day of these users: one range of the index for each. The ids are literals, so that they are. */
export function ofUsers(day: ShopDay, userIds: bigint[]): SQL {
  return and(sql`${purchases.userId} IN (${sql.raw(userIds.join(","))})`, ...duringDay(day)) as SQL
}

/** Lists who bought on a day, of users in a range, in batches in the order of their ids. */
export async function* listBuyers(db: Database, day: ShopDay, range: Range): AsyncGenerator<bigint[]> {
  let after: bigint | undefined
  for (;;) {
    const rows = allRows<{ userId: string }>(await db.execute(selectBuyers(day, range, after)))
    const userIds = rows.map((row) => BigInt(row.userId))
    if (userIds.length > 0) yield userIds
    after = userIds.at(-1)
    if (userIds.length < USERS_PER_BATCH) return
  }
}
