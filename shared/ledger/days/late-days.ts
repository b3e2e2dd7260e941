import { and, desc, eq, isNotNull, isNull, sql } from "drizzle-orm"
import { days } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import { verdictPath } from "../../documents/document-paths.ts"
import { readTotals } from "../shards/totals-columns.ts"
import { recordDayChange } from "./day-changes.ts"
import type { PublishedDay } from "./published-days.ts"

// Each is one short transaction, and is not in the list afterwards.
const ARRIVED_DAYS_AT_ONCE_MAX = 100

/**
 * Late days that are published by now, the newest first, and whose arrival was not announced. Late days that never come
 * are not among them, however many there are.
 */
export async function listArrivedDays(db: Database): Promise<PublishedDay[]> {
  const rows = await db
    .select({ day: publishedDays })
    .from(days)
    .innerJoin(publishedDays, eq(publishedDays.revenueDate, days.revenueDate))
    .where(and(isNotNull(days.lateAt), isNull(days.arrivedAt)))
    .orderBy(desc(days.revenueDate))
    .limit(ARRIVED_DAYS_AT_ONCE_MAX)
  return rows.map(({ day }) => day)
}

/** Marks a date late and records that to be told, once. Returns false if it was before. */
export async function tellLate(db: Database, date: string): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    await tx
      .insert(days)
      .values({ revenueDate: date })
      .onDuplicateKeyUpdate({ set: { revenueDate: date } })
    const marked = await tx
      .update(days)
      .set({ lateAt: sql`NOW(3)` })
      .where(and(eq(days.revenueDate, date), isNull(days.lateAt)))
    if (matchedRows(marked) === 0) return false
    await recordDayChange(tx, { date, state: "late", version: 0, runId: "" })
    return true
  })
}

/** Marks a late date as arrived and records that to be told, once. Returns false if it was before. */
export async function tellArrived(db: Database, day: PublishedDay): Promise<boolean> {
  const { revenueDate: date, version, runId } = day
  return inTransaction(db, async (tx) => {
    const marked = await tx
      .update(days)
      .set({ arrivedAt: sql`NOW(3)` })
      .where(and(eq(days.revenueDate, date), isNotNull(days.lateAt), isNull(days.arrivedAt)))
    if (matchedRows(marked) === 0) return false
    await recordDayChange(tx, {
      date,
      state: "arrived",
      version,
      runId,
      after: readTotals(day),
      path: verdictPath(runId),
    })
    return true
  })
}
