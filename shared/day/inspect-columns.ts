import { getTableName, sql } from "drizzle-orm"
import { purchases, shopLayout } from "../../schemas/database/shop.ts"
import { columnDdl, dropDdl } from "../../schemas/database/shop-ddl.ts"
import { integerTypes, type ShopLayout } from "../../schemas/database/shop-declaration.ts"
import { allRows, type Database } from "../database/open-database.ts"

const table = getTableName(purchases)
const { userId, amountCents, purchasedAt, purchasedOn } = purchases

/** A column of the shop's table, as information_schema describes it. */
export interface Column {
  name: string
  /** `bigint`, `decimal`: without its length. */
  type: string
  /** `decimal(26,8)`, `bigint unsigned`. */
  fullType: string
  /** Digits after the point; null for what is no number. */
  scale: number | null
  /** Of a generated column; empty for others. */
  expression: string
  comment: string
}

/** The columns of the shop's table by name; none where there is no such table. */
export async function listColumns(db: Database): Promise<Map<string, Column>> {
  const rows = allRows<Omit<Column, "scale"> & { scale: string | number | null }>(
    await db.execute(sql`
      SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS fullType, NUMERIC_SCALE AS scale,
        COALESCE(GENERATION_EXPRESSION, '') AS expression, COLUMN_COMMENT AS comment
      FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${table}`),
  )
  return new Map(rows.map((row) => [row.name, { ...row, scale: row.scale === null ? null : Number(row.scale) }]))
}

const isInteger = ({ type }: Column) => integerTypes.some((integer) => integer === type)

/**
 * Says what about the types of the shop's columns makes a day's numbers wrong or a run impossible, and what to do;
 * undefined if nothing does. Columns that are missing are not looked at here.
 */
export function findUnfitColumn(columns: Map<string, Column>): string | undefined {
  for (const { name, types, meaning } of shopLayout.sources) {
    const column = columns.get(name)
    if (column && !types.includes(column.type)) {
      return `${table}.${name} is declared to be ${meaning}, and is ${column.fullType}: it must be ${types.join(" or ")}`
    }
  }
  const user = columns.get(userId.name)
  if (user && !isInteger(user)) {
    return `${table}.${user.name} is ${user.fullType}, and ids of users are read as whole numbers: declare a column of integers`
  }
  const amount = columns.get(amountCents.name)
  if (amount && !isInteger(amount) && !(amount.type === "decimal" && amount.scale === 0)) {
    return `${table}.${amount.name} is ${amount.fullType}, and amounts are read as whole minor units: declare its scale in a SHOP_FILE (npm run daybook -- shop --help)`
  }
  const at = columns.get(purchasedAt.name)
  if (at && at.type !== "datetime" && at.type !== "timestamp") {
    return `${table}.${at.name} is ${at.fullType}, and times are read as DATETIME in UTC, or TIMESTAMP: declare their kind in a SHOP_FILE (npm run daybook -- shop --help)`
  }
  const on = columns.get(purchasedOn.name)
  if (on && on.type !== "date") {
    return `${table}.${on.name} is ${on.fullType}, and must be the DATE of ${purchasedAt.name} in UTC`
  }
  if (on && at?.type === "timestamp" && on.expression !== "") {
    return `${table}.${on.name} is generated from a TIMESTAMP, so that it depends on the time zone of whoever wrote the row: drop it, and either make ${at.name} a DATETIME in UTC or add an index of (${userId.name}, ${at.name}, ${amountCents.name})`
  }
  return undefined
}

/**
 * The statements that a table still needs for the columns of its layout: those that are missing, and those that were made by
 * another declaration, which are dropped first, with the index that may be over them.
 */
export function listColumnDdl(layout: ShopLayout, columns: Map<string, Column>, hasIndex: boolean): string[] {
  const changed = layout.generated.filter(({ name, comment }) => {
    const column = columns.get(name)
    return column !== undefined && comment !== "" && column.comment !== comment
  })
  const missing = layout.generated.filter(({ name }) => !columns.has(name))
  return [
    ...(changed.length > 0 && hasIndex ? [`DROP INDEX ${layout.index} ON ${layout.table}`] : []),
    ...changed.map(({ name }) => dropDdl(layout, name)),
    ...[...changed, ...missing].map((column) => columnDdl(layout, column)),
  ]
}
