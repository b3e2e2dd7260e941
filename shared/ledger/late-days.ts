import { and, asc, eq, isNotNull, isNull, sql } from "drizzle-orm"
import { days } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import { verdictPath } from "../documents/document-paths.ts"
import { recordDayChange } from "./day-changes.ts"
import type { PublishedDay } from "./published-days.ts"
import { readTotals } from "./totals-columns.ts"

// What was late and never came is a person's by then.
const LATE_DAYS_LOOKED_AT_MAX = 100

/** Dates that are late, the newest first. */
export async function listLateDays(db: Database): Promise<string[]> {
  const rows = await db
    .select({ date: days.revenueDate })
    .from(days)
    .where(and(isNotNull(days.lateAt), isNull(days.arrivedAt)))
    .orderBy(asc(days.lateAt))
    .limit(LATE_DAYS_LOOKED_AT_MAX)
  return rows.map(({ date }) => date)
}

/** Marks a date late and records that to be told, once. Returns false if it was before. */
export async function tellLate(db: Database, date: string): Promise<boolean> {
  return db.transaction(async (tx) => {
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
  return db.transaction(async (tx) => {
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
