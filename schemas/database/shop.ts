import { type SQL, sql } from "drizzle-orm"
import { bigint, date, datetime, mysqlSchema, mysqlTable } from "drizzle-orm/mysql-core"
import { readShopFile } from "./read-shop-file.ts"
import type { ShopLayout, SourceLayout } from "./shop-layout.ts"
import { userColumn } from "./user-type.ts"

/** How the shop's tables are read: as SHOP_FILE declares, or as one is made by `npm run demo`. The same for all the process. */
export const shopLayout: ShopLayout = readLayout(process.env["SHOP_FILE"])

/** One of the shop's tables with its columns. */
export type ShopSource = ReturnType<typeof openSource>

/** What is added up. The tables are the shop's own and never migrated from here. */
export const shopSources = shopLayout.sources.map(openSource)

/** The first source, and the only one of a shop that declares nothing. The table of users is not asked: whoever has bought counts. */
export const [purchases] = shopSources.map(({ table }) => table) as [ShopSource["table"]]

function openSource(layout: SourceLayout) {
  const { columns } = layout
  const [name = "", schema] = layout.table.split(".").toReversed()
  const described = {
    /** Null: a guest checkout. */
    userId: userColumn(shopLayout.userType)(columns.userId),
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
    table,
    /** Undefined where amounts are all of one. */
    currency: columns.currency === undefined ? undefined : own(columns.currency),
    /** In the order of the layout's. */
    measures: columns.measures.map(own),
  }
}

/** What every query is built from must be right before anything begins: without it the process ends with one sentence. */
function readLayout(file: string | undefined): ShopLayout {
  try {
    return readShopFile(file)
  } catch (error) {
    process.stderr.write(`SHOP_FILE ${file} is no declaration of a shop: ${(error as Error).message}\n`)
    return process.exit(1)
  }
}
