import { type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import type { ShopLayout } from "../../schemas/database/shop-layout.ts"
import { parseUserId, type UserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../database/open-database.ts"
import { ofUser, type Span } from "../range.ts"
import type { Page, ReadPage, UserSums } from "./compare-totals.ts"
import { inRange, type RevenueVersion } from "./revenue-rows.ts"
import { readSums, type SumsRow } from "./select-sums.ts"
import { inScan, inSlice, keyColumns, keyOf, type ShopDay, selectComparable } from "./shop-day.ts"
import { listBuyers, ofUsers } from "./user-batches.ts"

/** Reads what users spent from a version's Revenue rows. */
export function readRowTotals(db: Database, of: RevenueVersion): ReadPage {
  const { layout, revenue } = of.shop
  const { table, currency, measures } = revenue
  const { amountCents, purchases } = table
  const key = { layout, userId: sql`${table.userId}`, currency }
  const sums = measures.map((measure, at) => sql`, ${measure} AS ${sql.raw(`measure${at}`)}`)
  return (span, limit) =>
    readPage(
      db,
      layout,
      sql`SELECT ${keyColumns(key)}, ${amountCents} AS amount, ${purchases} AS purchases${sql.join(sums, sql``)}
        FROM ${table} WHERE ${inRange(of, span)} ORDER BY ${keyOf(key)}`,
      limit,
    )
}

// A user has a row for each currency.
const ROWS_OF_USER_MAX = 10_000

/** Reads what one user spent: nothing, or as much for each currency. */
export async function readUser(read: ReadPage, userId: UserId): Promise<UserSums[]> {
  return (await read(ofUser(userId), ROWS_OF_USER_MAX)).users
}

/** Adds up what users spent from the shop's purchases of a day, as it has them now. */
export function readShopTotals(db: Database, day: ShopDay): ReadPage {
  return (span, limit) => readByPath[day.accessPath](db, day, span, limit)
}

const readByPath: Record<AccessPath, typeof readBatches> = {
  "day-slice": (db, day, span, limit) =>
    readPage(db, day.shop.layout, selectComparable(day, inSlice(day, span)), limit),
  // Each page passes over the whole day: whoever reads many users asks for big ones.
  "day-scan": (db, day, span, limit) => readPage(db, day.shop.layout, selectComparable(day, inScan(day, span)), limit),
  "user-batches": readBatches,
}

async function readBatches(db: Database, day: ShopDay, span: Span, limit: number): Promise<Page> {
  const users: UserSums[] = []
  for await (const userIds of listBuyers(db, day, span)) {
    users.push(...(await selectUsers(db, day.shop.layout, selectComparable(day, ofUsers(day, userIds)))))
    if (users.length >= limit) return { users, last: users.at(-1) }
  }
  return { users, last: undefined }
}

async function readPage(db: Database, layout: ShopLayout, query: SQL, limit: number): Promise<Page> {
  const users = await selectUsers(db, layout, sql`${query} LIMIT ${limit}`)
  if (users.length < limit) return { users, last: undefined }
  // Where a user has a row for each currency, those of the last may be cut off.
  const cut = users.at(-1)?.order
  const whole = layout.hasCurrency ? users.filter(({ order }) => order !== cut) : users
  if (whole.length === 0) throw new Error(`a user has ${limit} currencies or more`)
  return { users: whole, last: whole.at(-1) }
}

interface ComparableRow extends SumsRow {
  userId: string | number
  userOrder?: string
}

async function selectUsers(db: Database, layout: ShopLayout, query: SQL): Promise<UserSums[]> {
  return allRows<ComparableRow>(await db.execute(query)).map((row) => {
    const userId = parseUserId(layout.userType, String(row.userId))
    return { userId, order: row.userOrder ?? userId, currency: row.currency, sums: readSums(layout, row) }
  })
}
