import { and, asc, count, eq, exists, inArray, notExists, type SQL, sql } from "drizzle-orm"
import {
  type BackfillDayState,
  type BackfillKind,
  type BackfillState,
  backfillDays,
  backfills,
  runs,
} from "../../../schemas/database/ledger.ts"
import type { Asker } from "../../asker.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import { listDates } from "../../day/revenue-day.ts"
import { type Day, listDays } from "../days/list-days.ts"
import type { Run } from "../runs/find-runs.ts"
import { backfillCause } from "./backfill-cause.ts"

export type Backfill = typeof backfills.$inferSelect
export type BackfillDay = typeof backfillDays.$inferSelect

const ROWS_PER_INSERT = 1_000

/** Of which days a backfill of a kind is, as the ledger knows them; undefined: it knows nothing of it. */
const kinds: Record<BackfillKind, (day: Day | undefined) => boolean> = {
  missing: (day) => day?.shown === undefined,
  incomplete: (day) => day?.newest?.state === "incomplete",
  drifted: (day) => day?.state === "drifted",
  all: () => true,
}

/** The dates that a backfill would have, the oldest first, and what is known of all from the first to the last. */
export async function listDatesToFill(
  db: Database,
  { from, to, which }: { from: string; to: string; which: BackfillKind },
): Promise<{ dates: string[]; known: Map<string, Day> }> {
  const known = new Map((await listDays(db, from, to)).map((day) => [day.date, day]))
  return { dates: listDates(from, to).filter((date) => kinds[which](known.get(date))), known }
}

/** Begins a backfill with its dates in their order. The same request twice is the same backfill. */
export async function createBackfill(
  db: Database,
  backfill: Pick<Backfill, "backfillId" | "fromDate" | "toDate" | "which" | "runsAtOnce" | "requestedAt"> & Asker,
  dates: string[],
): Promise<void> {
  const { backfillId } = backfill
  await inTransaction(db, async (tx) => {
    await tx
      .insert(backfills)
      .values({ ...backfill, state: "at-work" })
      .onDuplicateKeyUpdate({ set: { backfillId } })
    const [known] = await tx
      .select({ count: count() })
      .from(backfillDays)
      .where(eq(backfillDays.backfillId, backfillId))
    if (known?.count !== 0) return
    const days = dates.map((revenueDate, position) => ({
      backfillId,
      revenueDate,
      position,
      state: "waiting" as const,
    }))
    for (let start = 0; start < days.length; start += ROWS_PER_INSERT) {
      await tx.insert(backfillDays).values(days.slice(start, start + ROWS_PER_INSERT))
    }
  })
}

export async function findBackfill(db: Database, backfillId: string): Promise<Backfill | undefined> {
  const [backfill] = await db.select().from(backfills).where(eq(backfills.backfillId, backfillId))
  return backfill
}

/** In which a backfill has not ended. */
export const openStates: BackfillState[] = ["at-work", "paused"]

const isOpen = inArray(backfills.state, openStates)

const selectOpen = (db: Database, backfillId: string) =>
  db
    .select({ backfillId: backfills.backfillId })
    .from(backfills)
    .where(and(eq(backfills.backfillId, backfillId), isOpen))

/** Those that have not ended, the one that was asked for first first. */
export async function listOpenBackfills(db: Database): Promise<Backfill[]> {
  return db.select().from(backfills).where(isOpen).orderBy(asc(backfills.requestedAt))
}

/** How many days of a backfill are in each state. */
export async function countBackfillDays(db: Database, backfillId: string): Promise<Record<BackfillDayState, number>> {
  const rows = await db
    .select({ state: backfillDays.state, count: count() })
    .from(backfillDays)
    .where(eq(backfillDays.backfillId, backfillId))
    .groupBy(backfillDays.state)
  const counts = { waiting: 0, asked: 0, done: 0, failed: 0, cancelled: 0 }
  for (const row of rows) counts[row.state] = row.count
  return counts
}

/** Days of a backfill in a state, in their order. */
export async function listBackfillDays(
  db: Database,
  backfillId: string,
  state: BackfillDayState,
  limit: number,
  further?: SQL,
): Promise<BackfillDay[]> {
  return db
    .select()
    .from(backfillDays)
    .where(and(eq(backfillDays.backfillId, backfillId), eq(backfillDays.state, state), further))
    .orderBy(asc(backfillDays.position))
    .limit(limit)
}

// No backfill has as many runs at once; two finalizers at the same moment may ask for some more than it is to have.
const ASKED_MAX = 1_000

/** Its days whose runs are asked for and not decided yet. */
export const listAskedDays = (db: Database, backfillId: string): Promise<BackfillDay[]> =>
  listBackfillDays(db, backfillId, "asked", ASKED_MAX)

/**
 * Its next days to be requested. Days on which somebody else's run is at work are skipped until that has ended, however many
 * of them are at the front.
 */
export async function listDaysToRequest(db: Database, backfillId: string, limit: number): Promise<BackfillDay[]> {
  const unfinished = db
    .select({ runId: runs.runId })
    .from(runs)
    .where(eq(runs.unfinishedDate, backfillDays.revenueDate))
  return listBackfillDays(db, backfillId, "waiting", limit, notExists(unfinished))
}

/** The run that a day of a backfill became, if it did. */
export async function findRunOfDay(db: Database, { revenueDate, backfillId }: BackfillDay): Promise<Run | undefined> {
  const [run] = await db
    .select()
    .from(runs)
    .where(eq(runs.cause, backfillCause(revenueDate, backfillId)))
  return run
}

/** Whether a run is one of a backfill that was cancelled before its turn came. */
export async function isOfCancelledBackfill(db: Database, { backfillId }: Pick<Run, "backfillId">): Promise<boolean> {
  return backfillId !== null && (await findBackfill(db, backfillId))?.state === "cancelled"
}

/** Whether a date has a run at work, whoever asked for it. */
export async function hasUnfinishedRun(db: Database, date: string): Promise<boolean> {
  return (await db.$count(runs, eq(runs.unfinishedDate, date))) > 0
}

/**
 * Takes a day from one state to another; false if it is in another by now, or would wait in a backfill that has ended or was
 * cancelled meanwhile.
 */
export async function moveBackfillDay(
  db: Database,
  { backfillId, revenueDate, state }: BackfillDay,
  to: Partial<Pick<BackfillDay, "state" | "requestId" | "reason">>,
): Promise<boolean> {
  const moved = await db
    .update(backfillDays)
    .set({ ...to, ...(to.state === "asked" ? { askedAt: sql`NOW(3)` } : {}) })
    .where(
      and(
        eq(backfillDays.backfillId, backfillId),
        eq(backfillDays.revenueDate, revenueDate),
        eq(backfillDays.state, state),
        to.state === "waiting" ? exists(selectOpen(db, backfillId)) : undefined,
      ),
    )
  return matchedRows(moved) > 0
}

/** Ends a backfill; false if it is not any more. Cancelled, it asks for none of its days any more. */
export async function endBackfill(db: Database, backfillId: string, state: "ended" | "cancelled"): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const ended = await tx
      .update(backfills)
      .set({ state, endedAt: sql`NOW(3)` })
      .where(and(eq(backfills.backfillId, backfillId), isOpen))
    if (matchedRows(ended) === 0) return false
    if (state === "cancelled") {
      await tx
        .update(backfillDays)
        .set({ state: "cancelled" })
        .where(and(eq(backfillDays.backfillId, backfillId), inArray(backfillDays.state, ["waiting"])))
    }
    return true
  })
}
