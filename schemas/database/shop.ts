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

/** What of a row a day is made of. */
export interface SourceCells {
  /** NULL, or the source's guest, for a guest. */
  userId: SQL
  /** Minor units. */
  amount: SQL
  /** Undefined where amounts are all of one. */
  currency: SQL | undefined
  /** In the order of the layout's. */
  measures: SQL[]
}

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
  const column = (of: string): SQL => sql`${table}.${sql.identifier(of)}`
  const sliced: SourceCells = {
    userId: sql`${table.userId}`,
    amount: sql`${table.amountCents}`,
    currency: columns.currency === undefined ? undefined : column(columns.currency),
    measures: columns.measures.map(column),
  }
  return {
    layout,
    /** What its users are known by: the same in all sources. */
    userType,
    /** With the columns of an index of the day. */
    table,
    sliced,
    own: bindOwn(layout.own),
  }
}

function bindOwn({ userId, guest, amountCents, currency, measures, counts }: SourceLayout["own"]) {
  const user = declared(userId)
  const cells: SourceCells = {
    userId: user,
    amount: declared(amountCents),
    currency: currency === undefined ? undefined : declared(currency),
    measures: measures.map(declared),
  }
  return {
    cells,
    // Not true for NULL, either.
    isUser: guest === undefined ? sql`${user} IS NOT NULL` : sql`${user} <> ${sql.raw(guest)}`,
    isGuest: guest === undefined ? sql`${user} IS NULL` : sql`(${user} IS NULL OR ${user} = ${sql.raw(guest)})`,
    counts: counts === undefined ? undefined : sql`(${declared(counts)})`,
  }
}

/** SQL as a declaration has it. The driver takes every `?` of a statement for a parameter, also one in a text. */
function declared(text: string): SQL {
  return text.includes("?") ? sql`${sql.param({ toSqlString: () => text })}` : sql.raw(text)
}
