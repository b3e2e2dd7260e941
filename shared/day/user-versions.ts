import { and, gt, or, sql } from "drizzle-orm"
import type { Shop } from "../../schemas/database/shop.ts"
import { parseUserId, selectUser, type UserId } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../database/open-database.ts"
import { ofUser } from "../range.ts"
import { inRange, type RevenueVersion } from "./revenue-rows.ts"

/** A version in which a user has rows, with the key as the rows have it. */
export interface UserVersion extends Omit<RevenueVersion, "shop"> {
  key: string
}

// An OR of so many keys is looked up as such by both servers.
const VERSIONS_PER_STATEMENT = 200

/** Finds the versions in which a user has rows, by one look into the key for each version that there is. */
export async function findVersions(db: Database, shop: Shop, userId: UserId): Promise<UserVersion[]> {
  const { revenueDate, version, userId: user } = shop.revenue.table
  // Both servers skip from group to group.
  const versions = await db.select({ revenueDate, version }).from(shop.revenue.table).groupBy(revenueDate, version)
  const found: UserVersion[] = []
  for (let at = 0; at < versions.length; at += VERSIONS_PER_STATEMENT) {
    const looks = versions.slice(at, at + VERSIONS_PER_STATEMENT).map((of) => inRange({ ...of, shop }, ofUser(userId)))
    const key = selectUser(shop.layout.userType, sql`${user}`)
    const rows = allRows<{ date: string; version: number; key: string | number }>(
      await db.execute(
        sql`SELECT DISTINCT CAST(${revenueDate} AS CHAR) AS date, ${version} AS version, ${key} AS \`key\`
          FROM ${shop.revenue.table} WHERE ${or(...looks)}`,
      ),
    )
    found.push(...rows.map((row) => ({ revenueDate: row.date, version: row.version, key: String(row.key) })))
  }
  return found
}

/** The next user of a version: nobody is between, so that no row changes its shard. */
export async function findNextKey(db: Database, of: RevenueVersion, key: string): Promise<string | undefined> {
  const { layout, revenue } = of.shop
  const userId = parseUserId(layout.userType, key)
  const column = revenue.table.userId
  const [row] = await db
    .select({ userId: column })
    .from(revenue.table)
    .where(and(inRange(of, {}), gt(column, userId)))
    .orderBy(column)
    .limit(1)
  if (row) return String(row.userId)
  return typeof userId === "bigint" ? String(userId + 1n) : undefined
}
