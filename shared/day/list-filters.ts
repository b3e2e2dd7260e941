import type { AccessPath } from "../../schemas/database/ledger.ts"
import type { Database } from "../database/open-database.ts"
import type { Range } from "../range.ts"
import { type DayFilter, inScan, inSlice, type ShopDay } from "./shop-day.ts"
import { listBuyers, ofUsers } from "./user-batches.ts"

type ListFilters = (db: Database, day: ShopDay, range: Range) => AsyncGenerator<DayFilter>

/**
 * The purchases of a day, of users in a range, as filters that split them by users: one slice of the day's index, one
 * pass over the day, or as many batches of users as it takes.
 */
export const listFilters: ListFilters = (db, day, range) => byPath[day.accessPath](db, day, range)

const byPath: Record<AccessPath, ListFilters> = {
  async *"day-slice"(_db, day, range) {
    yield inSlice(day, range)
  },
  async *"day-scan"(_db, day, range) {
    yield inScan(day, range)
  },
  async *"user-batches"(db, day, range) {
    for await (const userIds of listBuyers(db, day, range)) yield ofUsers(day, userIds)
  },
}
