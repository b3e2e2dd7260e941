import { type SQL, sql } from "drizzle-orm"
import type { ShopLayout } from "../../schemas/database/shop-layout.ts"
import { addTotals, type Sums, type Totals, totalsOf } from "./totals.ts"

/** Sums as a SELECT has them, by the names that `selectSums` gives them. The driver hands what has 64 bits or more on as digits. */
export interface SumsRow {
  amount: string | number
  purchases: string | number
  /** How many rows were added up, where they are counted. */
  rows?: string | number
  currency?: string
  /** In the order of the layout's. */
  [measure: `measure${number}`]: string | number
}

/** The columns of `SumsRow`, of lines that have these columns. */
export function selectSums(of: { currency: SQL | undefined; purchases: SQL; amount: SQL; measures: SQL[] }): SQL {
  const currency = of.currency ? sql`${of.currency} AS currency, ` : sql``
  const sums = of.measures.map((measure, at) => sql`, COALESCE(SUM(${measure}), 0) AS ${sql.raw(`measure${at}`)}`)
  return sql`${currency}${of.purchases} AS purchases, COALESCE(SUM(${of.amount}), 0) AS amount${sql.join(sums, sql``)}`
}

/** The sums of one row. */
export function readSums({ measures }: ShopLayout, row: SumsRow): Sums {
  return {
    amountCents: BigInt(row.amount),
    purchases: BigInt(row.purchases),
    measures: Object.fromEntries(measures.map((name, at) => [name, BigInt(row[`measure${at}`] ?? 0)])),
  }
}

/** Adds up what a SELECT has for each currency to `none`, which says whether rows are counted. */
export function addUpRows(layout: ShopLayout, rows: SumsRow[], none: Totals): Totals {
  return rows.reduce(
    (sum, row) =>
      addTotals(
        sum,
        totalsOf({
          currency: layout.hasCurrency ? (row.currency ?? "") : undefined,
          rows: row.rows === undefined ? undefined : BigInt(row.rows),
          ...readSums(layout, row),
        }),
      ),
    none,
  )
}
