import { inArray, type SQL, sql } from "drizzle-orm"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import type { ShopSource } from "../../schemas/database/shop.ts"
import type { UserId } from "../../schemas/database/user-type.ts"
import { userLiteral } from "../../schemas/database/user-type.ts"
import { type ExplainRow, explain } from "../database/dialect.ts"
import { allRows, type Database } from "../database/open-database.ts"
import { cellsOf, type DayFilter, fromSource, inScan, inSlice, type ShopDay } from "./shop-day.ts"
import { ofUsers, selectBuyersOf, USERS_PER_BATCH } from "./user-batches.ts"

/** Whether a shard's read is of ranges of the index, on any size of table and whatever the statistics say. */
export async function confirmRead(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  return confirmByPath[day.accessPath](db, source, day)
}

const confirmByPath: Record<AccessPath, typeof confirmRead> = {
  "day-slice": confirmSlice,
  "day-scan": confirmScan,
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

async function confirmScan(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  return !isScan(await explainRead(db, selectUserSums(source, day, inScan(day, {}))))
}

/** Whether the index has all that a day's rows are read for. */
export async function isCovering(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  return (await explainRead(db, selectUserSums(source, day, inScan(day, {})))).isCovered
}

/** Both statements of a full batch, and that the second does not go through all that its users ever bought. */
async function confirmBatches(db: Database, source: ShopSource, day: ShopDay): Promise<boolean> {
  const users = someUsers(source, USERS_PER_BATCH)
  const literals = users.map((id) => sql.raw(userLiteral(source.userType, id)))
  const ever: DayFilter = ({ own }) => inArray(own.cells.userId, literals)
  // With a small LIMIT the estimate is never more than that.
  const buyers = await explainRead(db, selectBuyersOf(source, day, {}, Number.MAX_SAFE_INTEGER))
  const batch = await explainRead(db, selectUserSums(source, day, ofUsers(day, users)))
  const history = await explainRead(db, selectUserSums(source, day, ever))
  if (isScan(buyers) || isScan(batch)) return false
  return batch.keyLength > history.keyLength || batch.type === "index"
}

/** What a shard's read comes to in one source. */
function selectUserSums(source: ShopSource, day: ShopDay, filter: DayFilter): SQL {
  const { userId, amount } = cellsOf(day, source)
  return sql`SELECT ${userId}, SUM(${amount}) ${fromSource(day, source)} WHERE ${filter(source)} GROUP BY ${userId}`
}

interface Read {
  type: string | null
  /** How many entries are read, by an estimate. */
  rows: number
  /** By how many bytes of its index a query narrows what it reads. */
  keyLength: number
  /** No row is looked up in the table. */
  isCovered: boolean
}

async function explainRead(db: Database, query: SQL): Promise<Read> {
  const [row] = allRows<ExplainRow>(await db.execute(explain(query)))
  return {
    type: row?.type ?? null,
    rows: Number(row?.rows ?? 0),
    keyLength: Number(row?.key_len ?? 0),
    isCovered: /using index(?! condition)/i.test(row?.Extra ?? ""),
  }
}

/** About how many rows a table has, as the optimizer knows it now: information_schema may be a day old in MySQL. */
export async function countTableRows(db: Database, { table }: ShopSource): Promise<number> {
  return (await explainRead(db, sql`SELECT * FROM ${table}`)).rows
}

// MySQL reads a small index from end to end rather than a range of it; that it does so says nothing of a bigger one.
const ENTRIES_FEW = 1_000

/** Whether a query reads a whole table or index. Without a table access at all there is nothing to scan. */
function isScan({ type, rows }: Read): boolean {
  return type === "ALL" || (type === "index" && rows > ENTRIES_FEW)
}
