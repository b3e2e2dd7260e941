import { and, between, desc, eq, min, sql } from "drizzle-orm"
import { days, type RunState, runs } from "../../../schemas/database/ledger.ts"
import { type DayState, publishedDays } from "../../../schemas/database/revenue.ts"
import type { Database } from "../../database/open-database.ts"
import { addDays, findYesterday, listDates } from "../../day/revenue-day.ts"
import type { Totals } from "../../day/totals.ts"
import { isUnfinished } from "../runs/run-transitions.ts"
import { readTotals } from "../shards/totals-columns.ts"

/** A revenue date as people who live with it see it. */
export interface Day {
  date: string
  /** What there is to say first: how far its run is, what readers see, or why they see nothing. */
  state: "missing" | RunState | DayState
  /** What readers see; undefined for nothing. */
  shown: { version: number; since: Date; totals: Totals | undefined; auditedAt: Date | null } | undefined
  newest: { runId: string; version: number; state: RunState } | undefined
  /** When it was told that the day was late. */
  lateAt: Date | undefined
}

/** What a person would do about a day, and why, where that says more than its state. */
export interface Want {
  action: "start" | "release" | "rerun"
  reason: string | undefined
}

/** The one thing that a day wants of a person; undefined where there is nothing to be done. */
export function findWant({ state, newest, shown }: Day): Want | undefined {
  if (state === "missing" || state === "cancelled") return { action: "start", reason: undefined }
  if (state === "drifted") return { action: "start", reason: "the shop has other purchases by now" }
  if (newest?.state === "held") {
    return { action: "release", reason: shown ? `version ${newest.version} is held` : "or start it anew" }
  }
  if (newest?.state === "incomplete") {
    return { action: "rerun", reason: shown ? `version ${newest.version} is incomplete` : undefined }
  }
  return undefined
}

export interface Window {
  from?: string | undefined
  to?: string | undefined
}

const DAYS_DEFAULT = 35

/**
 * A line for each day of a window, the newest first, also for those that nobody ever asked for. By default the last five
 * weeks until yesterday, but none before the first date that is known or wanted; `begun` is that date.
 */
export async function listWindow(
  db: Database,
  { timeZone, firstDate }: { timeZone: string; firstDate: string | undefined },
  { from, to }: Window = {},
  now = new Date(),
): Promise<{ days: Day[]; begun: string | undefined }> {
  const last = to ?? findYesterday(now, timeZone).date
  const begun = [firstDate, await findFirstDate(db)].filter((date) => date !== undefined).toSorted()[0]
  const first = from ?? laterOf(addDays(last, 1 - DAYS_DEFAULT), begun)
  const known = new Map((await listDays(db, first, last)).map((day) => [day.date, day]))
  const days = listDates(first, last).toReversed()
  return { days: days.map((date) => known.get(date) ?? missingDay(date)), begun }
}

const laterOf = (date: string, other: string | undefined) => (other !== undefined && other > date ? other : date)

/** A day of which nothing is known. */
export const missingDay = (date: string): Day => ({
  date,
  state: "missing",
  shown: undefined,
  newest: undefined,
  lateAt: undefined,
})

/** Days that anything is known of, the newest first: at most three statements, whatever the ledger holds. */
export async function listDays(db: Database, from: string, to: string): Promise<Day[]> {
  const [newest, shown, marks] = await Promise.all([
    listNewestRunOfDays(db, from, to),
    db
      .select()
      .from(publishedDays)
      .where(between(publishedDays.revenueDate, from, to)),
    db
      .select()
      .from(days)
      .where(between(days.revenueDate, from, to)),
  ])
  const newestOf = new Map(newest.map((run) => [run.date, run]))
  const shownOf = new Map(shown.map((day) => [day.revenueDate, day]))
  const lateOf = new Map(marks.map(({ revenueDate, lateAt }) => [revenueDate, lateAt ?? undefined]))
  const dates = [...new Set([...newestOf.keys(), ...shownOf.keys(), ...lateOf.keys()])].toSorted().toReversed()
  return dates.map((date) => {
    const day = shownOf.get(date)
    const run = newestOf.get(date)
    return {
      date,
      state: stateOf(run?.state, day?.state),
      shown: day && {
        version: day.version,
        since: day.publishedAt,
        totals: readTotals(day),
        auditedAt: day.auditedAt,
      },
      newest: run && { runId: run.runId, version: run.version, state: run.state },
      lateAt: lateOf.get(date),
    }
  })
}

/** The first date that was ever asked for; undefined where none was. */
async function findFirstDate(db: Database): Promise<string | undefined> {
  const [row] = await db.select({ date: min(runs.revenueDate) }).from(runs)
  return row?.date ?? undefined
}

function stateOf(run: RunState | undefined, shown: DayState | undefined): Day["state"] {
  if (run !== undefined && isUnfinished(run)) return run
  return shown ?? run ?? "missing"
}

async function listNewestRunOfDays(db: Database, from: string, to: string) {
  const inWindow = between(runs.revenueDate, from, to)
  const newest = db
    .select({ revenueDate: runs.revenueDate, version: sql<number>`MAX(${runs.version})`.as("newest_version") })
    .from(runs)
    .where(inWindow)
    .groupBy(runs.revenueDate)
    .as("newest")
  return db
    .select({ date: runs.revenueDate, runId: runs.runId, version: runs.version, state: runs.state })
    .from(runs)
    .innerJoin(newest, and(eq(runs.revenueDate, newest.revenueDate), eq(runs.version, newest.version)))
    .where(inWindow)
    .orderBy(desc(runs.revenueDate))
}
