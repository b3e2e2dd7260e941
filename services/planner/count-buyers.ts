import { sql } from "drizzle-orm"
import { purchases } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { listPredicates } from "../../shared/day/list-predicates.ts"
import { fromPurchases, type ShopDay } from "../../shared/day/shop-day.ts"
import type { Range } from "../../shared/range.ts"

/** A user who bought on the day. */
export interface Buyer {
  userId: bigint
  purchases: number
}

/** Counts the purchases of each user of a range who bought on a day, in the order of the ids: one look at each of them. */
export async function* countBuyers(db: Database, day: ShopDay, range: Range): AsyncGenerator<Buyer> {
  for await (const predicate of listPredicates(db, day, range)) {
    const rows = allRows<{ userId: string; purchases: string }>(
      await db.execute(sql`
        SELECT ${purchases.userId} AS userId, COUNT(*) AS purchases ${fromPurchases(day)} WHERE ${predicate}
        GROUP BY ${purchases.userId} ORDER BY ${purchases.userId}`),
    )
    for (const row of rows) yield { userId: BigInt(row.userId), purchases: Number(row.purchases) }
  }
}
