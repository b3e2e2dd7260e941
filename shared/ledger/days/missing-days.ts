import { and, between, count, eq, inArray, sql } from "drizzle-orm"
import { days, runs } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import type { Database } from "../../database/open-database.ts"
import { listDates } from "../../day/revenue-day.ts"
import { unfinishedStates } from "../runs/run-transitions.ts"

/** A date that readers do not see. */
export interface MissingDay {
  date: string
  /** How often it was asked for because of that. */
  asked: number
}

export interface MissingDayOptions {
  /** Asked for so often, a date is a person's. */
  askedMax: number
  /** Asked for after this, a date is waited for. */
  askedBefore: Date
  limit: number
}

/** Dates that readers do not see and nobody is at work on, nor gave up or has to release, the newest first. */
export async function listMissingDays(
  db: Database,
  from: string,
  to: string,
  { askedMax, askedBefore, limit }: MissingDayOptions,
): Promise<MissingDay[]> {
  const dates = listDates(from, to)
  const inWindow = between(publishedDays.revenueDate, from, to)
  // On most days one look is enough.
  const [shown] = await db.select({ count: count() }).from(publishedDays).where(inWindow)
  if (shown?.count === dates.length) return []
  const [published, known, marks] = await Promise.all([
    db.select({ date: publishedDays.revenueDate }).from(publishedDays).where(inWindow),
    db
      .select({ date: runs.revenueDate })
      .from(runs)
      .where(inArray(runs.state, [...unfinishedStates, "held", "cancelled"])),
    db
      .select()
      .from(days)
      .where(between(days.revenueDate, from, to)),
  ])
  const there = new Set([...published, ...known].map(({ date }) => date))
  const markOf = new Map(marks.map((mark) => [mark.revenueDate, mark]))
  return dates
    .toReversed()
    .filter((date) => {
      const { asked = 0, askedAt = null } = markOf.get(date) ?? {}
      return !there.has(date) && asked < askedMax && (askedAt === null || askedAt < askedBefore)
    })
    .slice(0, limit)
    .map((date) => ({ date, asked: markOf.get(date)?.asked ?? 0 }))
}

/** Writes down that a date was asked for once more. */
export async function markDayAsked(db: Database, { date, asked }: MissingDay): Promise<void> {
  await db
    .insert(days)
    .values({ revenueDate: date })
    .onDuplicateKeyUpdate({ set: { revenueDate: date } })
  await db
    .update(days)
    .set({ asked: asked + 1, askedAt: sql`NOW(3)` })
    .where(and(eq(days.revenueDate, date), eq(days.asked, asked)))
}
