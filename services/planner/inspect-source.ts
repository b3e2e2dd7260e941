import { getTableName, sql } from "drizzle-orm"
import { daySliceColumns, purchases } from "../../schemas/database/shop.ts"
import { allRows, type Database } from "../../shared/database.ts"
import { describeError, PermanentError } from "../../shared/errors.ts"
import { inSlice, type ShopDay } from "../../shared/shop-day.ts"

const table = getTableName(purchases)
const sliceColumns = daySliceColumns.map((column) => column.name)

/** The statement that makes a day readable in slices. */
export const INDEX_DDL = `CREATE INDEX ${table}_day_slice ON ${table} (${sliceColumns.join(", ")})`

const NO_SUCH_TABLE = 1146
const NO_SUCH_COLUMN = 1054
const NO_SUCH_KEY = 1176

/**
 * Looks before the leap: finds the shop's index that lets a shard read only its own slice of a day, and has EXPLAIN
 * confirm it. Throws a PermanentError that names the index to add if a shard would scan the table, or the table or
 * column that is missing.
 */
export async function findSourceIndex(db: Database, day: Omit<ShopDay, "sourceIndex">): Promise<string> {
  try {
    const indexes = await listIndexes(db)
    // A covering index before one that has to look every purchase up.
    const covering = [...indexes].find(([, columns]) => sliceColumns.every((column, at) => columns[at] === column))
    const usable = [...indexes].find(([, columns]) => sliceColumns.slice(0, 2).every((c, at) => columns[at] === c))
    const [name] = covering ?? usable ?? []
    if (name === undefined) {
      // Says whether the table is there at all.
      await db.execute(sql`SELECT ${sql.join([...daySliceColumns], sql`, `)} FROM ${purchases} LIMIT 0`)
      throw new PermanentError(
        `no index of ${table} begins with (${sliceColumns.slice(0, 2).join(", ")}): every shard would scan the table. Add it and start the date again: ${INDEX_DDL}`,
      )
    }
    await confirmRead(db, { ...day, sourceIndex: name })
    return name
  } catch (error) {
    throw explainMissing(error)
  }
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

interface ExplainRow {
  type: string | null
  key: string | null
}

/** A shard's read must be a range of the index, on any size of table and whatever the statistics say. */
async function confirmRead(db: Database, day: ShopDay): Promise<void> {
  const rows = allRows<ExplainRow>(
    await db.execute(sql`
      EXPLAIN SELECT ${purchases.userId}, SUM(${purchases.amountCents}) FROM ${purchases}
      FORCE INDEX (${sql.identifier(day.sourceIndex)}) WHERE ${inSlice(day, { from: 0n, to: 1n })} GROUP BY ${purchases.userId}`),
  )
  // Without a table access at all (an empty table, an impossible range) there is nothing to scan.
  const scan = rows.find((row) => row.type === "ALL" || row.type === "index")
  if (scan) {
    throw new PermanentError(
      `EXPLAIN says that a shard would scan ${table} in spite of its index ${day.sourceIndex}. Add one that it can use and start the date again: ${INDEX_DDL}`,
    )
  }
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
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const errno = (cause as { errno?: unknown }).errno
    if (typeof errno === "number") return errno
  }
  return undefined
}
