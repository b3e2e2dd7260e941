import type { SQL } from "drizzle-orm"
import type { Database } from "../database/open-database.ts"
import type { Range } from "../range.ts"
import { inSlice, type ShopDay } from "./shop-day.ts"
import { listBuyers, ofUsers } from "./user-batches.ts"

/**
 * The purchases of a day, of users in a range, as conditions that split them by users: one slice of the day's index,
 * or as many batches of users as it takes.
 */
export async function* listPieces(db: Database, day: ShopDay, range: Range): AsyncGenerator<SQL> {
  if (day.sourceWay === "day-slice") yield inSlice(day, range)
  else for await (const userIds of listBuyers(db, day, range)) yield ofUsers(day, userIds)
}
