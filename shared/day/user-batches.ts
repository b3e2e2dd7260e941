import { and, type SQL, sql } from "drizzle-orm"
import type { ShopSource } from "../../schemas/database/shop.ts"
import { parseUserId, selectUser, type UserId, userLiteral } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../database/open-database.ts"
import type { Span } from "../range.ts"
import { duringOwnTime } from "./own-time.ts"
import { type DayFilter, fromSource, inScanAny, inSpan, type ShopDay } from "./shop-day.ts"

/**
 * How many users one statement names. MariaDB turns a list of 1,000 (in_predicate_conversion_threshold) into a join that
 * reads each user's whole history, and both servers give up on ranges at some size: MySQL at
 * range_optimizer_max_mem_size (8 MB; about 230 bytes a user), MariaDB at optimizer_max_sel_arg_weight (32,000). Bigger
 * lists are hardly faster: 9,382 users took 92 ms by 100, 86 ms by 500, 79 ms by 900.
 */
export const USERS_PER_BATCH = 500

/**
 * Selects the first users of a span who bought on the day. Of several sources the first of each are put together, of
 * which the first are right whatever comes after them.
 */
export function selectBuyers(day: ShopDay, span: Span, limit = USERS_PER_BATCH): SQL {
  const { sources } = day.shop
  if (sources.length === 1) return selectBuyersOf(sources[0], day, span, limit)
  const each = sources.map((one) => sql`(${selectBuyersOf(one, day, span, limit)})`)
  // Put together by UNION they are ordered as they are compared.
  return sql`SELECT userId FROM (${sql.join(each, sql` UNION ALL `)}) AS buyers
    GROUP BY userId ORDER BY userId LIMIT ${sql.raw(String(limit))}`
}

/**
 * MIN makes it a loose scan of an index that begins with (user_id, purchased_at): for each user two seeks, however long
 * the history, "Using index for group-by" in EXPLAIN. Where the history is so short that reading every entry is cheaper,
 * the optimizer does that. The ids are those of purchases: what `users` does not know is not lost. Who bought nothing
 * that counts is among them, as the index does not say.
 */
export function selectBuyersOf(source: ShopSource, day: ShopDay, span: Span, limit: number): SQL {
  const { userType, own, layout } = source
  const { userId } = own.cells
  const at = sql`${source.table}.${sql.identifier(layout.own.time.column)}`
  const where = and(own.isUser, inSpan(userType, userId, span), duringOwnTime(source, day))
  return sql`SELECT ${selectUser(userType, userId)} AS userId, MIN(${at})
    ${fromSource(day, source)} WHERE ${where} GROUP BY ${userId} ORDER BY ${userId} LIMIT ${sql.raw(String(limit))}`
}

/** The purchases of a day of these users: one range of the index for each. The ids are literals, so that they are. */
export function ofUsers(day: ShopDay, userIds: UserId[]): DayFilter {
  const literals = userIds.map((id) => userLiteral(day.shop.layout.userType, id)).join(",")
  return (source) => and(sql`${source.own.cells.userId} IN (${sql.raw(literals)})`, inScanAny(day)(source)) as SQL
}

/** Lists who bought on a day, of users in a span, in batches in their order. */
export async function* listBuyers(db: Database, day: ShopDay, span: Span): AsyncGenerator<UserId[]> {
  let rest = span
  for (;;) {
    const rows = allRows<{ userId: string | number }>(await db.execute(selectBuyers(day, rest)))
    const userIds = rows.map((row) => parseUserId(day.shop.layout.userType, String(row.userId)))
    if (userIds.length > 0) yield userIds
    if (userIds.length < USERS_PER_BATCH) return
    rest = { ...span, after: userIds.at(-1) }
  }
}
