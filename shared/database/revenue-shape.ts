import { type SQL, sql } from "drizzle-orm"
import { CURRENCY_TYPE } from "../../schemas/database/own-expressions.ts"
import type { ShopLayout } from "../../schemas/database/shop-layout.ts"
import { describeUserColumn, parseUserType } from "../../schemas/database/user-type.ts"
import { findErrno } from "../errors.ts"
import { allRows } from "./open-database.ts"

/*
 * Revenue has the shop's own key, the currency where a shop declares one, and a column for each measure. The migrations
 * make the table for whole numbers and nothing else; these are the statements that are missing to what a shop declares.
 */

/** Whatever executes a query: a database, or a connection that drizzle was given. */
interface Executor {
  execute(query: SQL): Promise<unknown>
}

interface RevenueColumn {
  name: string
  type: string
  fullType: string
  collation: string | null
}

const KEY = ["revenue_date", "version", "user_id"]

/** What is to be done to `revenue_versions`; `isKeyChanged` tells that rows which are there would not survive it. */
export interface RevenueShape {
  statements: string[]
  isKeyChanged: boolean
  /** What it has for its key now, for people. */
  userType: string
}

/** Compares the table with what a layout needs. Whatever it has besides stays. */
export async function compareRevenue(db: Executor, layout: ShopLayout): Promise<RevenueShape> {
  const columns = new Map((await listColumns(db, "revenue_versions")).map((column) => [column.name, column]))
  const user = columns.get("user_id")
  const found = user ? describeUserColumn(user) : "missing"
  const isKeyChanged = parseUserType(found)?.sql !== layout.userType.sql
  const changes = [
    ...(isKeyChanged ? [`MODIFY COLUMN user_id ${layout.userType.sql} NOT NULL`] : []),
    ...(layout.hasCurrency && !columns.has("currency")
      ? [
          `ADD COLUMN currency ${CURRENCY_TYPE} NOT NULL DEFAULT '' AFTER user_id`,
          "DROP PRIMARY KEY",
          `ADD PRIMARY KEY (${[...KEY, "currency"].join(", ")})`,
        ]
      : []),
    // Null in rows that are older than the measure.
    ...layout.measures.filter((name) => !columns.has(name)).map((name) => `ADD COLUMN ${name} BIGINT`),
  ]
  const statements = changes.length > 0 ? [`ALTER TABLE revenue_versions ${changes.join(", ")}`] : []
  return { statements, isKeyChanged, userType: found }
}

/**
 * The statement that makes the view show all that the table has but the version; none if it does. A view reads by the
 * rights of the account that made it, so that readers need none but on the view: without that account it cannot be read.
 */
export async function compareRevenueView(db: Executor): Promise<string[]> {
  const columns = (await listColumns(db, "revenue_versions")).map(({ name }) => name)
  const wanted = columns.filter((name) => name !== "version")
  const shown = (await listColumns(db, "revenue")).map(({ name }) => name)
  if (shown.join() === wanted.join() && (await canBeRead(db))) return []
  return [
    `CREATE OR REPLACE VIEW revenue AS SELECT ${wanted.map((name) => `r.\`${name}\``).join(", ")} FROM published_days d
      JOIN revenue_versions r ON r.revenue_date = d.revenue_date AND r.version = d.version`,
  ]
}

async function listColumns(db: Executor, table: string): Promise<RevenueColumn[]> {
  return allRows<RevenueColumn>(
    await db.execute(sql`
      SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS fullType, COLLATION_NAME AS collation
      FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${table}
      ORDER BY ORDINAL_POSITION`),
  )
}

// ER_VIEW_INVALID: its account lacks a right; ER_NO_SUCH_USER: there is no such account, and ER_ACCESS_DENIED_ERROR, said to
// accounts that have few rights.
const BROKEN_VIEW = [1356, 1449, 1045]

async function canBeRead(db: Executor): Promise<boolean> {
  try {
    await db.execute(sql`SELECT 1 FROM revenue LIMIT 0`)
    return true
  } catch (error) {
    if (BROKEN_VIEW.includes(findErrno(error) ?? 0)) return false
    throw error
  }
}
