import { inArray, type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import type { Shop, ShopSource } from "../../schemas/database/shop.ts"
import { daySliceColumns, userBatchColumns } from "../../schemas/database/shop-ddl.ts"
import type { UserId } from "../../schemas/database/user-type.ts"
import { type ExplainRow, explain } from "../database/dialect.ts"
import { allRows, type Database } from "../database/open-database.ts"
import { describeError, findErrno, PermanentError } from "../errors.ts"
import { type Column, findUnfitColumn, isTable, listColumnDdl, listColumns } from "./inspect-columns.ts"
import { type DayFilter, fromSource, inSlice, type ShopDay, type SourceRead } from "./shop-day.ts"
import { ofUsers, selectBuyersOf, USERS_PER_BATCH } from "./user-batches.ts"

const NO_SUCH_TABLE = 1146
const NO_SUCH_COLUMN = 1054
const NO_SUCH_KEY = 1176

type UnreadDay = Omit<ShopDay, keyof SourceRead>

/**
 * Looks before the leap: chooses the access path: the shop's index through which a run can read its day without the
 * history, and how, as EXPLAIN confirms. An index of the day is preferred to one of each user's purchases, and a covering
 * one to one that has to look every purchase up. Of several sources each is read through the index that is declared for
 * it, which has the same name in all. Throws a PermanentError that names the index to add if every shard would scan a
 * table, or the table or column that is missing.
 */
export async function chooseRead(db: Database, day: UnreadDay): Promise<SourceRead> {
  try {
    const states = await Promise.all(day.shop.sources.map((source) => inspectSource(db, source)))
    refuseOtherColumns(day.shop, states)
    const reads: SourceRead[] = []
    for (const state of states) reads.push(await chooseSourceRead(db, day, state))
    const [read] = reads
    if (!read) throw new Error("the shop has no source")
    return read
  } catch (error) {
    throw explainMissing(error)
  }
}

/** A source as it is now. */
interface SourceState {
  source: ShopSource
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

async function chooseSourceRead(db: Database, day: UnreadDay, state: SourceState): Promise<SourceRead> {
  const { source, indexes } = state
  const { layout, sources } = day.shop
  const reads = [
    ...(layout.hasDate ? findReads(indexes, "day-slice", daySliceColumns(source.layout)) : []),
    ...findReads(indexes, "user-batches", userBatchColumns(source.layout)),
  ].filter(({ sourceIndex }) => sources.length === 1 || sourceIndex === source.layout.index)
  for (const read of reads) if (await isUsable(db, source, { ...day, ...read })) return read
  // Says whether the table and its columns are there at all.
  const { userId, purchasedAt, amountCents } = source.table
  await db.execute(sql`SELECT ${userId}, ${purchasedAt}, ${amountCents} FROM ${source.table} LIMIT 0`)
  throw new PermanentError(describeRefusal(day.shop, state, reads))
}

/** The indexes that begin with the first two of the columns, those with all of them first. */
function findReads(indexes: Map<string, string[]>, accessPath: AccessPath, columns: string[]): SourceRead[] {
  const begin = (count: number) =>
    [...indexes]
      .filter(([, indexed]) => columns.slice(0, count).every((column, at) => indexed[at] === column))
      .map(([name]) => name)
  const found = new Set([...begin(columns.length), ...begin(2)])
  return [...found].map((sourceIndex) => ({ sourceIndex, accessPath }))
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

/** Whether a shard can read through the index; not through one that the server hides: invisible in MySQL, ignored in MariaDB. */
async function isUsable(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  try {
    return await confirmRead(db, source, day)
  } catch (error) {
    if (findErrno(error) === NO_SUCH_KEY) return false
    throw error
  }
}

/** Whether a shard's read is of ranges of the index, on any size of table and whatever the statistics say. */
async function confirmRead(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  return confirmByPath[day.accessPath](db, source, day)
}

const confirmByPath: Record<AccessPath, typeof confirmRead> = {
  "day-slice": confirmSlice,
  "user-batches": confirmBatches,
}

/** Keys that need not be anybody's. */
const someUsers = ({ userType }: ShopSource, count: number): UserId[] =>
  Array.from({ length: count }, (_, index) =>
    userType.kind === "integer" ? BigInt(index) : index.toString(16).toUpperCase().padStart(4, "0"),
  )

async function confirmSlice(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  const [from, to] = someUsers(source, 2)
  return !isScan(await explainRead(db, selectUserSums(source, day, inSlice(day, { from, to }))))
}

/** Both statements of a full batch, and that the second does not go through all that its users ever bought. */
async function confirmBatches(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  const users = someUsers(source, USERS_PER_BATCH)
  const ever: DayFilter = ({ table }) => inArray(table.userId, users)
  // With a small LIMIT the estimate is never more than that.
  const buyers = await explainRead(db, selectBuyersOf(source, day, {}, Number.MAX_SAFE_INTEGER))
  const batch = await explainRead(db, selectUserSums(source, day, ofUsers(day, users)))
  const history = await explainRead(db, selectUserSums(source, day, ever))
  if (isScan(buyers) || isScan(batch)) return false
  return batch.keyLength > history.keyLength || batch.type === "index"
}

/** What a shard's read comes to in one source. */
function selectUserSums(source: ShopSource, day: ShopDay, filter: DayFilter): SQL {
  const { userId, amountCents } = source.table
  return sql`SELECT ${userId}, SUM(${amountCents}) ${fromSource(day, source)} WHERE ${filter(source)} GROUP BY ${userId}`
}

interface Read {
  type: string | null
  /** How many entries are read, by an estimate. */
  rows: number
  /** By how many bytes of its index a query narrows what it reads. */
  keyLength: number
}

async function explainRead(db: Database, query: SQL): Promise<Read> {
  const [row] = allRows<ExplainRow>(await db.execute(explain(query)))
  return { type: row?.type ?? null, rows: Number(row?.rows ?? 0), keyLength: Number(row?.key_len ?? 0) }
}

// MySQL reads a small index from end to end rather than a range of it; that it does so says nothing of a bigger one.
const ENTRIES_FEW = 1_000

/** Whether a query reads a whole table or index. Without a table access at all there is nothing to scan. */
function isScan({ type, rows }: Read): boolean {
  return type === "ALL" || (type === "index" && rows > ENTRIES_FEW)
}

/** Columns that are missing, or were made by another declaration and so say something else: nothing is read from them. */
function refuseOtherColumns({ layout }: Shop, states: SourceState[]): void {
  const differing = states.filter(
    ({ source, columns }) =>
      // Without any column there is no table, which is told in other words.
      columns.size > 0 &&
      source.layout.generated.some(({ name, comment }) => comment !== "" && columns.get(name)?.comment !== comment),
  )
  if (differing.length === 0) return
  const tables = differing.map(({ source }) => source.layout.table).join(", ")
  const ddl = differing.flatMap(({ source, columns, indexes }) =>
    listColumnDdl(layout, source, columns, indexes.has(source.layout.index)),
  )
  throw new PermanentError(
    `${tables} does not have the columns that SHOP_FILE declares, as it is now: run these statements, and start the date again: ${ddl.join("; ")}`,
  )
}

/** The statements that would help. */
function describeRefusal({ layout }: Shop, { source, columns }: SourceState, reads: SourceRead[]): string {
  const { table } = source.layout
  const wanted = [...(layout.hasDate ? [daySliceColumns(source.layout)] : []), userBatchColumns(source.layout)]
  const ddl = listColumnDdl(layout, source, columns, false).join("; ")
  const why =
    reads.length > 0
      ? `EXPLAIN says that a shard would scan ${table} in spite of its index ${reads.map((read) => read.sourceIndex).join(", ")}`
      : `no index of ${table} begins with ${wanted.map((columns) => `(${columns.slice(0, 2).join(", ")})`).join(" or ")}: every shard would scan the table`
  return `${why}. Add one and start the date again: ${ddl}`
}

function explainMissing(error: unknown): unknown {
  const errno = findErrno(error)
  if (errno === NO_SUCH_TABLE || errno === NO_SUCH_COLUMN || errno === NO_SUCH_KEY) {
    return new PermanentError(`the shop's table is not as it is declared: ${describeError(error)}`, { cause: error })
  }
  return error
}
