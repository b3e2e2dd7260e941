import { getTableName, type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { daySliceColumns, purchases, shopLayout, userBatchColumns } from "../../schemas/database/shop.ts"
import { indexDdl } from "../../schemas/database/shop-ddl.ts"
import { type ExplainRow, explain } from "../database/dialect.ts"
import { allRows, type Database } from "../database/open-database.ts"
import { describeError, findErrno, PermanentError } from "../errors.ts"
import { type Column, findUnfitColumn, listColumnDdl, listColumns } from "./inspect-columns.ts"
import { inSlice, type ShopDay, type SourceRead, selectUserTotals } from "./shop-day.ts"
import { ofUsers, selectBuyers, USERS_PER_BATCH } from "./user-batches.ts"

const table = getTableName(purchases)
const names = (columns: readonly { name: string }[]) => columns.map((column) => column.name)
const sliceColumns = names(daySliceColumns)
const { purchasedAt } = purchases

const NO_SUCH_TABLE = 1146
const NO_SUCH_COLUMN = 1054
const NO_SUCH_KEY = 1176

/**
 * Looks before the leap: chooses the access path: the shop's index through which a run can read its day without the
 * history, and how, as EXPLAIN confirms. An index of the day is preferred to one of each user's purchases, and a covering
 * one to one that has to look every purchase up. Throws a PermanentError that names the index to add if every shard
 * would scan the table, or the table or column that is missing.
 */
export async function chooseRead(
  db: Database,
  day: Pick<ShopDay, "fromAt" | "toAt" | "timeZone">,
): Promise<SourceRead> {
  try {
    const [indexes, columns] = await Promise.all([listIndexes(db), listColumns(db)])
    const unfit = findUnfitColumn(columns)
    if (unfit !== undefined) throw new PermanentError(unfit)
    refuseOtherColumns(columns, indexes)
    const reads = [
      ...(shopLayout.hasDate ? findReads(indexes, "day-slice", sliceColumns) : []),
      ...findReads(indexes, "user-batches", names(userBatchColumns)),
    ]
    for (const read of reads) if (await isUsable(db, { ...day, ...read })) return read
    // Says whether the table and its columns are there at all.
    const { userId, amountCents } = purchases
    await db.execute(sql`SELECT ${userId}, ${purchasedAt}, ${amountCents} FROM ${purchases} LIMIT 0`)
    throw new PermanentError(describeRefusal(columns, reads))
  } catch (error) {
    throw explainMissing(error)
  }
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

async function listIndexes(db: Database): Promise<Map<string, string[]>> {
  const rows = allRows<{ name: string; columnName: string }>(
    await db.execute(sql`
      SELECT INDEX_NAME AS name, COLUMN_NAME AS columnName FROM information_schema.STATISTICS
      WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${table} ORDER BY INDEX_NAME, SEQ_IN_INDEX`),
  )
  const indexes = new Map<string, string[]>()
  for (const row of rows) indexes.set(row.name, [...(indexes.get(row.name) ?? []), row.columnName])
  return indexes
}

/** Whether a shard can read through the index; not through one that the server hides: invisible in MySQL, ignored in MariaDB. */
async function isUsable(db: Database, day: ShopDay): Promise<boolean> {
  try {
    return await confirmRead(db, day)
  } catch (error) {
    if (findErrno(error) === NO_SUCH_KEY) return false
    throw error
  }
}

/** Whether a shard's read is of ranges of the index, on any size of table and whatever the statistics say. */
async function confirmRead(db: Database, day: ShopDay): Promise<boolean> {
  return confirmByPath[day.accessPath](db, day)
}

const confirmByPath: Record<AccessPath, typeof confirmRead> = {
  "day-slice": confirmSlice,
  "user-batches": confirmBatches,
}

async function confirmSlice(db: Database, day: ShopDay): Promise<boolean> {
  return !isScan(await explainRead(db, selectUserTotals(day, inSlice(day, { from: 0n, to: 1n }))))
}

/** Both statements of a full batch, and that the second does not go through all that its users ever bought. */
async function confirmBatches(db: Database, day: ShopDay): Promise<boolean> {
  const userIds = Array.from({ length: USERS_PER_BATCH }, (_, index) => BigInt(index))
  const ever = sql`${purchases.userId} IN (${sql.raw(userIds.join(","))})`
  // With a small LIMIT the estimate is never more than that.
  const buyers = await explainRead(db, selectBuyers(day, {}, undefined, Number.MAX_SAFE_INTEGER))
  const batch = await explainRead(db, selectUserTotals(day, ofUsers(day, userIds)))
  const history = await explainRead(db, selectUserTotals(day, ever))
  if (isScan(buyers) || isScan(batch)) return false
  return batch.keyLength > history.keyLength || batch.type === "index"
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
function refuseOtherColumns(columns: Map<string, Column>, indexes: Map<string, string[]>): void {
  const isWhole = shopLayout.generated.every(
    ({ name, comment }) => comment === "" || columns.get(name)?.comment === comment,
  )
  // Without any column there is no table, which is told in other words.
  if (isWhole || columns.size === 0) return
  const ddl = [...listColumnDdl(shopLayout, columns, indexes.has(shopLayout.index)), indexDdl(shopLayout)]
  throw new PermanentError(
    `${table} does not have the columns that SHOP_FILE declares, as it is now: run these statements, and start the date again: ${ddl.join("; ")}`,
  )
}

/** The statements that would help. */
function describeRefusal(columns: Map<string, Column>, reads: SourceRead[]): string {
  const wanted = [...(shopLayout.hasDate ? [sliceColumns] : []), names(userBatchColumns)]
  const ddl = [...listColumnDdl(shopLayout, columns, false), indexDdl(shopLayout)].join("; ")
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
