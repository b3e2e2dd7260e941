import { type SQL, sql } from "drizzle-orm"
import {
  bigint,
  date,
  datetime,
  decimal,
  int,
  mysqlTable,
  mysqlView,
  primaryKey,
  varchar,
} from "drizzle-orm/mysql-core"
import type { ShopLayout } from "./shop-layout.ts"
import { text } from "./text-columns.ts"
import { integerUsers, type UserType, userColumn } from "./user-type.ts"

/** Revenue as a shop has it. */
export interface Revenue {
  table: ReturnType<typeof describeVersions>
  /** Undefined where amounts are all of one. */
  currency: SQL | undefined
  /** Further sums, in the order of the layout's measures. */
  measures: SQL[]
}

/** Binds Revenue to what a layout gives it: the shop's own key, a currency in that key, a column for each measure. */
export function openRevenue({ userType, hasCurrency, measures }: ShopLayout): Revenue {
  const table = describeVersions(userType)
  const own = (column: string): SQL => sql`${table}.${sql.identifier(column)}`
  return { table, currency: hasCurrency ? own("currency") : undefined, measures: measures.map(own) }
}

/**
 * The Revenue rows of every version of every date. Readers use the view `revenue`. The migrations make it for whole numbers;
 * shared/database/revenue-shape.ts gives it what a declaration asks for.
 */
function describeVersions(userType: UserType) {
  return mysqlTable(
    "revenue_versions",
    {
      revenueDate: date("revenue_date", { mode: "string" }).notNull(),
      version: int("version").notNull(),
      userId: userColumn(userType)("user_id").notNull(),
      /** Minor units; refunds make it smaller, and it may be negative. */
      amountCents: bigint("amount_cents", { mode: "bigint" }).notNull(),
      purchases: int("purchases").notNull(),
    },
    (table) => [primaryKey({ columns: [table.revenueDate, table.version, table.userId] })],
  )
}

/** @public As the migrations make it: `npm run generate` reads it from here. */
export const revenueVersions = describeVersions(integerUsers)

/** shown: readers see the day as it was verified. drifted: an audit found that the shop has other purchases by now. */
const dayStates = ["shown", "drifted"] as const
export type DayState = (typeof dayStates)[number]

/** Which version of each date readers see. */
export const publishedDays = mysqlTable("published_days", {
  revenueDate: date("revenue_date", { mode: "string" }).primaryKey(),
  version: int("version").notNull(),
  runId: varchar("run_id", { length: 64 }).notNull(),
  publishedAt: datetime("published_at", { mode: "date", fsp: 3 }).notNull(),
  state: varchar("state", { length: 16 }).notNull().default("shown").$type<DayState>(),
  /** What readers see of the day adds up to; null for a day published by an older version of Daybook. */
  rowCount: bigint("row_count", { mode: "bigint" }),
  purchases: bigint("purchases", { mode: "bigint" }),
  amountCents: decimal("amount_cents", { precision: 38, scale: 0 }),
  /** What the currencies and measures add up to, JSON; null where there are none. */
  parts: text("parts"),
  /** When the published version was last compared with the shop after its verdict. */
  auditedAt: datetime("audited_at", { mode: "date", fsp: 3 }),
})

/** What readers read: for each published date the rows of its published version. Of a shop that declares nothing. */
export const revenue = mysqlView("revenue", {
  revenueDate: date("revenue_date", { mode: "string" }).notNull(),
  userId: userColumn(integerUsers)("user_id").notNull(),
  amountCents: bigint("amount_cents", { mode: "bigint" }).notNull(),
  purchases: int("purchases").notNull(),
}).existing()
