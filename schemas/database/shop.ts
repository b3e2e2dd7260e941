import { readFileSync } from "node:fs"
import { bigint, date, datetime, mysqlTable } from "drizzle-orm/mysql-core"
import { layOutShop, parseShopDeclaration, plainLayout, type ShopLayout } from "./shop-declaration.ts"

/** How the shop's table is read: as SHOP_FILE declares, or as it is made by `npm run demo`. The same for all the process. */
export const shopLayout: ShopLayout = readLayout(process.env["SHOP_FILE"])

const { table, columns } = shopLayout

/**
 * The shop's table as Daybook queries it; it is the shop's own and never migrated from here. The table of users is not
 * asked: whoever has bought counts.
 */
export const purchases = mysqlTable(table, {
  /** Null: a guest checkout. */
  userId: bigint(columns.userId, { mode: "bigint" }),
  /** Minor units, signed: refunds are negative. */
  amountCents: bigint(columns.amountCents, { mode: "bigint" }),
  /** UTC, unless the layout says otherwise. */
  purchasedAt: datetime(columns.purchasedAt, { mode: "date" }).notNull(),
  /** The date of `purchased_at`: a virtual generated column. Only the index of the day's slices needs it. */
  purchasedOn: date(columns.purchasedOn, { mode: "string" }),
})

/** The index that lets a shard read only its own slice of a day: the columns in their order. */
export const daySliceColumns = [
  purchases.purchasedOn,
  purchases.userId,
  purchases.purchasedAt,
  purchases.amountCents,
] as const

/** The index that lets a shard look up each user's purchases of a day: all that a shop without the date may have. */
export const userBatchColumns = [purchases.userId, purchases.purchasedAt, purchases.amountCents] as const

/** What every query is built from must be right before anything begins: without it the process ends with one sentence. */
function readLayout(file: string | undefined): ShopLayout {
  if (!file) return plainLayout
  try {
    return layOutShop(parseShopDeclaration(readFileSync(file, "utf8")))
  } catch (error) {
    process.stderr.write(`SHOP_FILE ${file} is no declaration of a shop: ${(error as Error).message}\n`)
    return process.exit(1)
  }
}
