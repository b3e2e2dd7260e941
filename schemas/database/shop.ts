import { bigint, date, datetime, mysqlTable } from "drizzle-orm/mysql-core"

/**
 * The shop's table as Daybook queries it; it is the shop's own and never migrated from here. To put Daybook on a table of
 * other names, change the names in quotation marks: every query is built from this declaration. The table of users is
 * not asked: whoever has bought counts.
 */
export const purchases = mysqlTable("purchases", {
  purchaseId: bigint("purchase_id", { mode: "bigint" }).primaryKey(),
  /** Null: a guest checkout. */
  userId: bigint("user_id", { mode: "bigint" }),
  /** Minor units, signed: refunds are negative. */
  amountCents: bigint("amount_cents", { mode: "bigint" }).notNull(),
  /** UTC. */
  purchasedAt: datetime("purchased_at", { mode: "date" }).notNull(),
  /** The UTC date of `purchased_at`: a virtual generated column. Only the index of the day's slices needs it. */
  purchasedOn: date("purchased_on", { mode: "string" }).notNull(),
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
