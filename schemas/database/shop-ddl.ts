import type { GeneratedColumn, ShopLayout, SourceLayout } from "./shop-layout.ts"

/*
 * The statements that make a shop's table readable. Both servers take them as they are; ALGORITHM and LOCK are there so that
 * a server that could not do it beside the shop's writes refuses rather than blocks them.
 */

/** One plain index for each table on the shop's own column of time: all that a table needs to be read as it is. */
export function listTimeDdl({ sources }: ShopLayout): string[] {
  return sources.map(timeIndexDdl)
}

export function timeIndexDdl({ table, own }: SourceLayout): string {
  const { column } = own.time
  // An index's name has 64 characters at most, a column's may have them all.
  const name = `daybook_${column}`.slice(0, 64)
  return `CREATE INDEX ${name} ON ${quoteTable(table)} (${quoteName(column)}) ALGORITHM=INPLACE LOCK=NONE`
}

/** What an index of the day needs: columns, then indexes. None where times are a TIMESTAMP. */
export function listSliceDdl({ hasDate, sources }: ShopLayout): string[] {
  if (!hasDate) return []
  const columns = sources.flatMap((source) => source.generated.map((column) => columnDdl(source, column)))
  return [...columns, ...sources.map(indexDdl)]
}

/** A column, at once: it is computed, and the table not rewritten. */
export function columnDdl({ table }: SourceLayout, { name, type, expression, comment }: GeneratedColumn): string {
  const note = comment === "" ? "" : ` COMMENT '${comment}'`
  return `ALTER TABLE ${quoteTable(table)} ADD COLUMN ${name} ${type} AS (${expression}) VIRTUAL${note}, ALGORITHM=INSTANT`
}

/** The index that a day is read from, all of it: it reads the table once, and the shop goes on writing. */
export function indexDdl(source: SourceLayout): string {
  return `CREATE INDEX ${source.index} ON ${quoteTable(source.table)} (${daySliceColumns(source).join(", ")}) ALGORITHM=INPLACE LOCK=NONE`
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
const quoteTable = (table: string) => table.split(".").map(quoteName).join(".")

const quoteName = (name: string) => (RESERVED.test(name) || /^\d/.test(name) ? `\`${name}\`` : name)

/** The index that lets a shard read only its own slice of a day, in the order of Revenue's key. */
export function daySliceColumns({ columns }: SourceLayout): string[] {
  const { purchasedOn, userId, currency, purchasedAt, amountCents, measures } = columns
  return [purchasedOn, userId, ...(currency === undefined ? [] : [currency]), purchasedAt, amountCents, ...measures]
}

/** The shop's own columns with which an index lets a shard look up each user's purchases of a day; none: there is no such index. */
export function userBatchColumns({ own }: SourceLayout): string[] {
  return own.userColumn === undefined ? [] : [own.userColumn, own.time.column]
}
