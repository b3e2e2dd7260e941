import type { GeneratedColumn, ShopLayout, SourceLayout } from "./shop-layout.ts"

/*
 * The statements that make a shop's table readable. Both servers take them as they are; ALGORITHM and LOCK are there so that
 * a server that could not do it beside the shop's writes refuses rather than blocks them.
 */

/** All that a shop's tables need: columns, then indexes. */
export function listShopDdl(layout: ShopLayout): string[] {
  const columns = layout.sources.flatMap((source) => source.generated.map((column) => columnDdl(source, column)))
  return [...columns, ...layout.sources.map((source) => indexDdl(layout, source))]
}

/** A column, at once: it is computed, and the table not rewritten. */
export function columnDdl({ table }: SourceLayout, { name, type, expression, comment }: GeneratedColumn): string {
  const note = comment === "" ? "" : ` COMMENT '${comment}'`
  return `ALTER TABLE ${quoteTable(table)} ADD COLUMN ${name} ${type} AS (${expression}) VIRTUAL${note}, ALGORITHM=INSTANT`
}

/** The index that a day is read from, all of it: it reads the table once, and the shop goes on writing. */
export function indexDdl(layout: ShopLayout, source: SourceLayout): string {
  const columns = layout.hasDate ? daySliceColumns(source) : userBatchColumns(source)
  return `CREATE INDEX ${source.index} ON ${quoteTable(source.table)} (${columns.join(", ")}) ALGORITHM=INPLACE LOCK=NONE`
}

/** Takes a generated column of an older declaration away, which the index must not need any more. */
export function dropDdl({ table }: SourceLayout, name: string): string {
  return `ALTER TABLE ${quoteTable(table)} DROP COLUMN ${name}`
}

/** Before the columns under an index are dropped. */
export function dropIndexDdl({ index, table }: SourceLayout): string {
  return `DROP INDEX ${index} ON ${quoteTable(table)}`
}

// Words that a shop calls its table by and SQL has a meaning for.
const RESERVED =
  /^(order|group|groups|key|keys|table|index|range|rank|user|usage|option|transaction|columns?|values|references)$/i

/** A table as a statement names it, in its schema. */
function quoteTable(table: string): string {
  return table
    .split(".")
    .map((name) => (RESERVED.test(name) || /^\d/.test(name) ? `\`${name}\`` : name))
    .join(".")
}

/** The index that lets a shard read only its own slice of a day, in the order of Revenue's key. */
export function daySliceColumns({ columns }: SourceLayout): string[] {
  const { purchasedOn, userId, currency, purchasedAt, amountCents, measures } = columns
  return [purchasedOn, userId, ...(currency === undefined ? [] : [currency]), purchasedAt, amountCents, ...measures]
}

/** The index that lets a shard look up each user's purchases of a day: all that a shop without the date may have. */
export function userBatchColumns({ columns }: SourceLayout): string[] {
  const { userId, purchasedAt, amountCents, currency, measures } = columns
  return [userId, purchasedAt, amountCents, ...(currency === undefined ? [] : [currency]), ...measures]
}
