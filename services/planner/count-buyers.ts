import { sql } from "drizzle-orm"
import { parseUserId, selectUser, type UserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { listFilters } from "../../shared/day/list-filters.ts"
import { type ShopDay, selectLines } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"

/** A user who bought on the day. */
export interface Buyer {
  userId: UserId
  /** Rows of the day, which is the work that they make. */
  rows: number
}

/** Counts the rows of each user of a range who bought on a day, in the order of the users: one look at each of them. */
export async function* countBuyers(db: Database, day: ShopDay, range: Range): AsyncGenerator<Buyer> {
  const { userType } = day.shop.layout
  for await (const filter of listFilters(db, day, range)) {
    const { from, userId } = selectLines(day, filter)
    const rows = allRows<{ userId: string | number; count: string }>(
      await db.execute(sql`
        SELECT ${selectUser(userType, userId)} AS userId, COUNT(*) AS count ${from}
        GROUP BY ${userId} ORDER BY ${userId}`),
    )
    for (const row of rows) {
      yield { userId: parseUserId(userType, String(row.userId)), rows: Number(row.count) }
    }
  }
}
