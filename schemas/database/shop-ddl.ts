import type { GeneratedColumn, ShopLayout } from "./shop-declaration.ts"

/*
 * The statements that make a shop's table readable. Both servers take them as they are; ALGORITHM and LOCK are there so that
 * a server that could not do it beside the shop's writes refuses rather than blocks them.
 */

/** A column, at once: it is computed, and the table not rewritten. */
export function columnDdl(layout: ShopLayout, { name, type, expression, comment }: GeneratedColumn): string {
  const note = comment === "" ? "" : ` COMMENT '${comment}'`
  return `ALTER TABLE ${layout.table} ADD COLUMN ${name} ${type} AS (${expression}) VIRTUAL${note}, ALGORITHM=INSTANT`
}

/** The index that a day is read from, all of it: it reads the table once, and the shop goes on writing. */
export function indexDdl({ table, columns, index, hasDate }: ShopLayout): string {
  const { purchasedOn, userId, purchasedAt, amountCents } = columns
  const indexed = hasDate ? [purchasedOn, userId, purchasedAt, amountCents] : [userId, purchasedAt, amountCents]
  return `CREATE INDEX ${index} ON ${table} (${indexed.join(", ")}) ALGORITHM=INPLACE LOCK=NONE`
}

/** Takes a generated column of an older declaration away, which the index must not need any more. */
export function dropDdl({ table }: ShopLayout, name: string): string {
  return `ALTER TABLE ${table} DROP COLUMN ${name}`
}
