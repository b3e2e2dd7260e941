import { getTableName, type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import { daySliceColumns, purchases, userBatchColumns } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../../shared/database/open-database.ts"
import { inSlice, type ShopDay, type SourceRead, selectUserTotals } from "../../shared/day/shop-day.ts"
import { ofUsers, selectBuyers, USERS_PER_BATCH } from "../../shared/day/user-batches.ts"
import { describeError, listCauses, PermanentError } from "../../shared/errors.ts"

const table = getTableName(purchases)
const names = (columns: readonly { name: string }[]) => columns.map((column) => column.name)
const sliceColumns = names(daySliceColumns)
const { purchasedOn, purchasedAt } = purchases

/** The statements that make a day readable in slices: the date, where the table has none, and the index. */
const DATE_DDL = `ALTER TABLE ${table} ADD COLUMN ${purchasedOn.name} DATE AS (DATE(${purchasedAt.name})) VIRTUAL`
const INDEX_DDL = `CREATE INDEX ${table}_day_slice ON ${table} (${sliceColumns.join(", ")})`

const NO_SUCH_TABLE = 1146
const NO_SUCH_COLUMN = 1054
const NO_SUCH_KEY = 1176

/**
 * Looks before the leap: chooses the access path: the shop's index through which a run can read its day without the
 * history, and how, as EXPLAIN confirms. An index of the day is preferred to one of each user's purchases, and a covering
 * one to one that has to look every purchase up. Throws a PermanentError that names the index to add if every shard
 * would scan the table, or the table or column that is missing.
 */
export async function chooseRead(db: Database, day: Pick<ShopDay, "fromAt" | "toAt">): Promise<SourceRead> {
  try {
    const indexes = await listIndexes(db)
    const reads = [
      ...findReads(indexes, "day-slice", sliceColumns),
      ...findReads(indexes, "user-batches", names(userBatchColumns)),
    ]
    for (const read of reads) if (await confirmRead(db, { ...day, ...read })) return read
    // Says whether the table and its columns are there at all.
    const { userId, amountCents } = purchases
    await db.execute(sql`SELECT ${userId}, ${purchasedAt}, ${amountCents} FROM ${purchases} LIMIT 0`)
    throw new PermanentError(await describeRefusal(db, reads))
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

/** Whether a shard's read is of ranges of the index, on any size of table and whatever the statistics say. */
async function confirmRead(db: Database, day: ShopDay): Promise<boolean> {
  return confirmByPath[day.accessPath](db, day)
}

const confirmByPath: Record<AccessPath, typeof confirmRead> = {
  "day-slice": confirmSlice,
  "user-batches": confirmBatches,
}

async function confirmSlice(db: Database, day: ShopDay): Promise<boolean> {
  return !(await explainRead(db, selectUserTotals(day, inSlice(day, { from: 0n, to: 1n })))).isScan
}

/** Both statements of a full batch, and that the second does not go through all that its users ever bought. */
async function confirmBatches(db: Database, day: ShopDay): Promise<boolean> {
  const userIds = Array.from({ length: USERS_PER_BATCH }, (_, index) => BigInt(index))
  const ever = sql`${purchases.userId} IN (${sql.raw(userIds.join(","))})`
  const buyers = await explainRead(db, selectBuyers(day, {}))
  const batch = await explainRead(db, selectUserTotals(day, ofUsers(day, userIds)))
  const history = await explainRead(db, selectUserTotals(day, ever))
  return !buyers.isScan && !batch.isScan && batch.keyLength > history.keyLength
}

interface ExplainRow {
  type: string | null
  key_len: string | null
}

/** Whether a query reads a whole table or index, and by how many bytes of its index it narrows what it reads. */
async function explainRead(db: Database, query: SQL): Promise<{ isScan: boolean; keyLength: number }> {
  const rows = allRows<ExplainRow>(await db.execute(sql`EXPLAIN ${query}`))
  // Without a table access at all (an impossible range) there is nothing to scan.
  const isScan = rows.some(({ type }) => type === "ALL" || type === "index")
  return { isScan, keyLength: Math.max(...rows.map((row) => Number(row.key_len ?? 0))) }
}

/** The statements that would help. */
async function describeRefusal(db: Database, reads: SourceRead[]): Promise<string> {
  const columns = allRows<{ name: string }>(
    await db.execute(sql`
      SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ${table}`),
  )
  const hasDate = columns.some(({ name }) => name === purchasedOn.name)
  const ddl = [...(hasDate ? [] : [DATE_DDL]), INDEX_DDL].join("; ")
  const why =
    reads.length > 0
      ? `EXPLAIN says that a shard would scan ${table} in spite of its index ${reads.map((read) => read.sourceIndex).join(", ")}`
      : `no index of ${table} begins with (${sliceColumns.slice(0, 2).join(", ")}) or (${names(userBatchColumns).slice(0, 2).join(", ")}): every shard would scan the table`
  return `${why}. Add one and start the date again: ${ddl}`
}

function explainMissing(error: unknown): unknown {
  const errno = findErrno(error)
  if (errno === NO_SUCH_TABLE || errno === NO_SUCH_COLUMN || errno === NO_SUCH_KEY) {
    return new PermanentError(
      `the shop's tables are not as declared in schemas/database/shop.ts: ${describeError(error)}`,
      { cause: error },
    )
  }
  return error
}

function findErrno(error: unknown): number | undefined {
  for (const cause of listCauses(error)) {
    const errno = (cause as { errno?: unknown }).errno
    if (typeof errno === "number") return errno
  }
  return undefined
}
