import { sql } from "drizzle-orm"
import type { ShopSource } from "../../schemas/database/shop.ts"
import { columnDdl, dropDdl, dropIndexDdl, indexDdl } from "../../schemas/database/shop-ddl.ts"
import { integerTypes } from "../../schemas/database/shop-layout.ts"
import { describeUserColumn, isColumnOf } from "../../schemas/database/user-type.ts"
import { allRows, type Database } from "../database/open-database.ts"

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
  /** Of a text; null for others. */
  collation: string | null
  /** `orders.total`: as a person names it. */
  place: string
}

/** The columns of a source by name; none where there is no such table. */
export async function listColumns(db: Database, source: ShopSource): Promise<Map<string, Column>> {
  const { table } = source.layout
  const rows = allRows<Omit<Column, "scale" | "place"> & { scale: string | number | null }>(
    await db.execute(sql`
      SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS fullType, NUMERIC_SCALE AS scale,
        COLLATION_NAME AS collation, COALESCE(GENERATION_EXPRESSION, '') AS expression, COLUMN_COMMENT AS comment
      FROM information_schema.COLUMNS WHERE ${isTable(source)}`),
  )
  return new Map(
    rows.map((row) => [
      row.name,
      { ...row, scale: row.scale === null ? null : Number(row.scale), place: `${table}.${row.name}` },
    ]),
  )
}

/** That a row of information_schema is of a source's table. */
export function isTable({ layout }: ShopSource) {
  const [name, schema] = layout.table.split(".").toReversed()
  return sql`TABLE_SCHEMA = ${schema ?? sql`DATABASE()`} AND TABLE_NAME = ${name}`
}

const isInteger = ({ type }: Column) => integerTypes.some((integer) => integer === type)

/**
 * Says what about the types of a source's columns makes a day's numbers wrong or a run impossible, and what to do;
 * undefined if nothing does. Columns that are missing are not looked at here.
 */
export function findUnfitColumn(
  { layout, table, userType }: ShopSource,
  columns: Map<string, Column>,
): string | undefined {
  const { userId, amountCents, purchasedAt } = table
  for (const { name, types, meaning } of layout.declared) {
    const column = columns.get(name)
    if (column && !types.includes(column.type)) {
      const hint = meaning.startsWith("the user") ? describeType(column) : ""
      return `${column.place} is declared to be ${meaning}, and is ${column.fullType}: it must be ${types.join(" or ")}${hint}`
    }
  }
  const user = columns.get(layout.own.userColumn ?? userId.name)
  if (user && !isColumnOf(userType, user)) {
    return `${user.place} is ${describeUserColumn(user)}, and users are read as ${userType.sql}${describeType(user)}`
  }
  // What is declared has been looked at, and is read by expressions.
  if (layout.declared.length > 0) return undefined
  const amount = columns.get(amountCents.name)
  if (amount && !isInteger(amount) && !(amount.type === "decimal" && amount.scale === 0)) {
    return `${amount.place} is ${amount.fullType}, and amounts are read as whole minor units: declare its scale in a SHOP_FILE (npm run daybook -- shop --help)`
  }
  const at = columns.get(purchasedAt.name)
  if (at && at.type !== "datetime" && at.type !== "timestamp") {
    return `${at.place} is ${at.fullType}, and times are read as DATETIME in UTC, or TIMESTAMP: declare their kind in a SHOP_FILE (npm run daybook -- shop --help)`
  }
  return undefined
}

/** Says why a day must not be read by the columns of an index of the day, and what to do; undefined if it may. */
export function findUnfitDate({ layout, table }: ShopSource, columns: Map<string, Column>): string | undefined {
  const { userId, amountCents, purchasedAt, purchasedOn } = table
  const [at, on] = [columns.get(purchasedAt.name), columns.get(purchasedOn.name)]
  const isOther = ({ name, comment }: { name: string; comment: string }) =>
    comment !== "" && columns.get(name)?.comment !== comment
  const other = layout.generated.filter(isOther).map(({ name }) => name)
  if (other.length > 0) return `${layout.table} has no ${other.join(", ")} of this declaration`
  if (on && on.type !== "date") {
    return `${on.place} is ${on.fullType}, and must be the DATE of ${purchasedAt.name} in UTC`
  }
  if (on && at?.type === "timestamp" && on.expression !== "") {
    return `${on.place} is generated from a TIMESTAMP, so that it depends on the time zone of whoever wrote the row: drop it, and either make ${at.name} a DATETIME in UTC or add an index of (${userId.name}, ${at.name}, ${amountCents.name})`
  }
  return undefined
}

/** What to declare for such a column of users. */
const describeType = (column: Column) =>
  `; for this column a SHOP_FILE says userType: "${describeUserColumn(column)}" (npm run daybook -- shop --help)`

/**
 * The statements that a table still needs for an index of the day: its columns, those that are missing, and those that were made by
 * another declaration, which are dropped first, with the index that may be over them.
 */
export function listColumnDdl({ layout }: ShopSource, columns: Map<string, Column>, hasIndex: boolean): string[] {
  const changed = layout.generated.filter(({ name, comment }) => {
    const column = columns.get(name)
    return column !== undefined && comment !== "" && column.comment !== comment
  })
  const missing = layout.generated.filter(({ name }) => !columns.has(name))
  return [
    ...(changed.length > 0 && hasIndex ? [dropIndexDdl(layout)] : []),
    ...changed.map(({ name }) => dropDdl(layout, name)),
    ...[...changed, ...missing].map((column) => columnDdl(layout, column)),
    indexDdl(layout),
  ]
}
