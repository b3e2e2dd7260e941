import { type SQL, sql } from "drizzle-orm"
import { bigint, date, datetime, mysqlSchema, mysqlTable } from "drizzle-orm/mysql-core"
import { openRevenue, type Revenue } from "./revenue.ts"
import { plainLayout, type ShopLayout, type SourceLayout } from "./shop-layout.ts"
import { type UserType, userColumn } from "./user-type.ts"

/** A shop as a layout reads it, with the Revenue that it has. Queries are built from it; a process may hold several. */
export interface Shop {
  layout: ShopLayout
  /** What is added up. The tables are the shop's own and never migrated from here. */
  sources: readonly [ShopSource, ...ShopSource[]]
  revenue: Revenue
}

/** One of the shop's tables with its columns. The table of users is not asked: whoever has bought counts. */
export type ShopSource = ReturnType<typeof bindSource>

/** Binds a layout to the tables and columns that queries name. It connects to nothing. */
export function openShop(layout: ShopLayout): Shop {
  const { userType, sources } = layout
  const [first, ...others] = sources
  return {
    layout,
    sources: [bindSource(userType, first), ...others.map((source) => bindSource(userType, source))],
    revenue: openRevenue(layout),
  }
}

/** The shop as `npm run demo` makes it, and as one is read that declares nothing. */
export const plainShop = openShop(plainLayout)

function bindSource(userType: UserType, layout: SourceLayout) {
  const { columns } = layout
  const [name = "", schema] = layout.table.split(".").toReversed()
  const described = {
    /** Null: a guest checkout. */
    userId: userColumn(userType)(columns.userId),
    /** Minor units, signed: refunds are negative. */
    amountCents: bigint(columns.amountCents, { mode: "bigint" }),
    /** UTC, unless the layout says otherwise. */
    purchasedAt: datetime(columns.purchasedAt, { mode: "date" }).notNull(),
    /** The date of `purchased_at`: a virtual generated column. Only the index of the day's slices needs it. */
    purchasedOn: date(columns.purchasedOn, { mode: "string" }),
  }
  const create = schema === undefined ? mysqlTable : (mysqlSchema(schema).table as unknown as typeof mysqlTable)
  const table = create(name, described)
  const own = (column: string): SQL => sql`${table}.${sql.identifier(column)}`
  return {
    layout,
    /** What its users are known by: the same in all sources. */
    userType,
    table,
    /** Undefined where amounts are all of one. */
    currency: columns.currency === undefined ? undefined : own(columns.currency),
    /** In the order of the layout's. */
    measures: columns.measures.map(own),
  }
}
