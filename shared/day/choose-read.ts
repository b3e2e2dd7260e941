import { sql } from "drizzle-orm"
import { type AccessPath, accessPaths } from "../../schemas/database/ledger.ts"
import { SCAN_ROWS_MAX } from "../../schemas/database/own-expressions.ts"
import type { ShopSource } from "../../schemas/database/shop.ts"
import { daySliceColumns, timeIndexDdl, userBatchColumns } from "../../schemas/database/shop-ddl.ts"
import { allRows, type Database } from "../database/open-database.ts"
import { describeError, findErrno, PermanentError } from "../errors.ts"
import { confirmRead, countTableRows, isCovering } from "./confirm-read.ts"
import { type Column, findUnfitColumn, findUnfitDate, isTable, listColumnDdl, listColumns } from "./inspect-columns.ts"
import { cellsOf, type ShopDay, type SourceRead } from "./shop-day.ts"

const NO_SUCH_TABLE = 1146
const NO_SUCH_COLUMN = 1054
const NO_SUCH_KEY = 1176

export interface ReadOptions {
  /** A table of at most so many rows is read without any index. */
  scanRowsMax?: number | undefined
}

type UnreadDay = Omit<ShopDay, keyof SourceRead>

/**
 * Chooses the access path by which a run reads its day, and through which index, as EXPLAIN confirms: an index of the day, where
 * there is one that is right; else the shop as it is, through an index of its own that begins with the time, or without one where
 * the table is small; else an index of each user's purchases. Of several sources each is read by the same path, through an index
 * of its own. Throws a PermanentError that names the index to add, or what of the table is not as it is declared.
 */
export async function chooseRead(db: Database, day: UnreadDay, options: ReadOptions = {}): Promise<SourceRead> {
  try {
    const states = await Promise.all(day.shop.sources.map((source) => inspectSource(db, source)))
    const refused: string[] = []
    for (const accessPath of accessPaths) {
      const names: string[] = []
      for (const state of states) {
        const name = await chooseIndex(db, { ...day, sourceIndex: "", accessPath }, state, options, refused)
        if (name === undefined) break
        names.push(name)
      }
      const sourceIndex = names.length === states.length ? joinNames(names) : undefined
      if (sourceIndex !== undefined) return { sourceIndex, accessPath }
    }
    for (const { source } of states) await readNothing(db, source)
    throw new PermanentError(describeRefusal(day, states, refused))
  } catch (error) {
    throw explainMissing(error)
  }
}

/** A source as it is now. */
interface SourceState {
  source: ShopSource
  /** Their columns, by their names. */
  indexes: Map<string, string[]>
  columns: Map<string, Column>
}

async function inspectSource(db: Database, source: ShopSource): Promise<SourceState> {
  const [indexes, columns] = await Promise.all([listIndexes(db, source), listColumns(db, source)])
  if (indexes.size === 0 && columns.size > 0) await refuseView(db, source)
  const unfit = findUnfitColumn(source, columns)
  if (unfit !== undefined) throw new PermanentError(unfit)
  return { source, indexes, columns }
}

async function refuseView(db: Database, source: ShopSource): Promise<void> {
  const rows = allRows(
    await db.execute(sql`SELECT 1 FROM information_schema.TABLES WHERE ${isTable(source)} AND TABLE_TYPE = 'VIEW'`),
  )
  if (rows.length === 0) return
  throw new PermanentError(
    `${source.layout.table} is a view, and a view has no index to read a day through: name the table that it shows, in SHOP_FILE if that has other columns`,
  )
}

async function listIndexes(db: Database, source: ShopSource): Promise<Map<string, string[]>> {
  const rows = allRows<{ name: string; columnName: string }>(
    await db.execute(sql`
      SELECT INDEX_NAME AS name, COLUMN_NAME AS columnName FROM information_schema.STATISTICS
      WHERE ${isTable(source)} ORDER BY INDEX_NAME, SEQ_IN_INDEX`),
  )
  const indexes = new Map<string, string[]>()
  for (const row of rows) indexes.set(row.name, [...(indexes.get(row.name) ?? []), row.columnName])
  return indexes
}

/** The index of a source for an access path; undefined if it has none, empty if it needs none. */
async function chooseIndex(
  db: Database,
  day: ShopDay,
  state: SourceState,
  { scanRowsMax = SCAN_ROWS_MAX }: ReadOptions,
  refused: string[],
): Promise<string | undefined> {
  const { source, indexes, columns } = state
  // Without any column there is no table, which is told in other words.
  if (columns.size === 0) return undefined
  const isLone = day.shop.sources.length === 1
  const usable: string[] = []
  for (const name of findIndexes(day.accessPath, state, day.shop.layout.hasDate)) {
    if (name.includes(",") || (day.accessPath === "day-slice" && !isLone && name !== source.layout.index)) continue
    if (await isUsable(db, source, { ...day, sourceIndex: isLone ? name : nameAlone(day, source, name) }))
      usable.push(name)
    else if (indexes.has(name)) refused.push(name)
  }
  if (day.accessPath === "day-scan") {
    for (const name of usable) {
      if (await isCovering(db, source, { ...day, sourceIndex: nameAlone(day, source, name) })) return name
    }
    if (usable.length === 0 && scanRowsMax > 0 && (await countTableRows(db, source)) <= scanRowsMax) return ""
  }
  return usable[0]
}

/** The name of one source's index, in its place among those of all. */
const nameAlone = ({ shop }: ShopDay, source: ShopSource, name: string) =>
  shop.sources.map((each) => (each === source ? name : "")).join(",")

const INDEX_NAMES_LENGTH_MAX = 64

/**
 * The names of all sources' indexes as the ledger keeps them, in a column as long as one name. What does not fit is left out:
 * such a source is read as the optimizer thinks best.
 */
function joinNames(names: string[]): string {
  const [first = ""] = names
  if (names.every((name) => name === first)) return first
  let joined = names
  for (let at = names.length - 1; joined.join().length > INDEX_NAMES_LENGTH_MAX; at--) joined = joined.with(at, "")
  return joined.join()
}

/** Names of the indexes that a path could read through, the one with all of its columns first. */
function findIndexes(accessPath: AccessPath, { source, indexes, columns }: SourceState, hasDate: boolean): string[] {
  const beginning = (wanted: string[]) =>
    [...indexes]
      .filter(([, indexed]) => wanted.length > 0 && wanted.every((column, at) => indexed[at] === column))
      .map(([name]) => name)
  if (accessPath === "day-scan") return beginning([source.layout.own.time.column])
  if (accessPath === "user-batches") return beginning(userBatchColumns(source.layout)).toSorted(byLength(indexes))
  if (!hasDate || findUnfitDate(source, columns) !== undefined) return []
  const wanted = daySliceColumns(source.layout)
  return [...new Set([...beginning(wanted), ...beginning(wanted.slice(0, 2))])]
}

/** Those with more columns first: they are likelier to have all that is read. */
const byLength = (indexes: Map<string, string[]>) => (a: string, b: string) =>
  (indexes.get(b)?.length ?? 0) - (indexes.get(a)?.length ?? 0)

/** Whether a shard can read through the index; not through one that the server hides: invisible in MySQL, ignored in MariaDB. */
async function isUsable(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  try {
    return await confirmRead(db, source, day)
  } catch (error) {
    if (findErrno(error) === NO_SUCH_KEY) return false
    throw error
  }
}

/** Says, by failing, whether a table and the columns that are read of it are there at all. */
async function readNothing(db: Database, source: ShopSource): Promise<void> {
  const { userId, amount } = cellsOf({ accessPath: "day-scan" }, source)
  const at = sql.identifier(source.layout.own.time.column)
  await db.execute(sql`SELECT ${userId}, ${at}, ${amount} FROM ${source.table} LIMIT 0`)
}

/** The statement that would help, and the one for big days. */
function describeRefusal({ shop }: UnreadDay, states: SourceState[], refused: string[]): string {
  const lacking = states.filter(
    ({ source, indexes }) => ![...indexes.values()].some(([first]) => first === source.layout.own.time.column),
  )
  const wanted = lacking.length > 0 ? lacking : states
  const tables = wanted.map(({ source }) => source.layout.table).join(", ")
  const why =
    refused.length > 0
      ? `EXPLAIN says that a shard would scan ${tables} in spite of its index ${[...new Set(refused)].join(", ")}`
      : `no index of ${tables} begins with its time (${wanted.map(({ source }) => source.layout.own.time.column).join(", ")}), and every shard would scan the table`
  const add = wanted.map(({ source }) => timeIndexDdl(source.layout)).join("; ")
  const slices = states.flatMap(({ source, columns, indexes }) =>
    listColumnDdl(source, columns, indexes.has(source.layout.index)),
  )
  const big = shop.layout.hasDate ? `. For days of many millions, instead: ${slices.join("; ")}` : ""
  return `${why}. Add one and start the date again: ${add}${big}`
}

function explainMissing(error: unknown): unknown {
  const errno = findErrno(error)
  if (errno === NO_SUCH_TABLE || errno === NO_SUCH_COLUMN || errno === NO_SUCH_KEY) {
    return new PermanentError(`the shop's table is not as it is declared: ${describeError(error)}`, { cause: error })
  }
  return error
}
