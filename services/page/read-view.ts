import type { Database } from "../../shared/database/open-database.ts"
import { addDays, checkDate, findYesterday, listDates } from "../../shared/day/revenue-day.ts"
import type { Totals } from "../../shared/day/totals.ts"
import { PermanentError } from "../../shared/errors.ts"
import { type Backfill, countBackfillDays, listOpenBackfills } from "../../shared/ledger/backfills/backfills.ts"
import { type Day, findWant, listDays, listWindow, type Want } from "../../shared/ledger/days/list-days.ts"
import { type FailingDuty, listFailingDuties } from "../../shared/ledger/duties/duties.ts"
import { countTasksAtWork, findPause, type Pause } from "../../shared/ledger/pauses/pause.ts"
import { listUnfinishedRuns, type UnfinishedRun } from "../../shared/ledger/runs/find-runs.ts"
import { type RunProgress, readRunProgress } from "../../shared/ledger/runs/run-progress.ts"
import { estimateTime, listRunTimes } from "../../shared/ledger/runs/run-times.ts"
import { describeHeadline, type Headline } from "./describe-headline.ts"
import { type DayDetail, readDayDetail } from "./read-day.ts"

export interface PageSettings {
  timeZone: string
  firstDate: string | undefined
  /** HH:MM */
  deadline: string | undefined
  /** How many decimals amounts have. */
  scale: number
}

/** A run at work as the page shows it. */
export interface RunAtWork {
  progress: RunProgress
  throttled: string | null
  pausedAt: Date | null
}

export interface BackfillAtWork {
  backfill: Backfill
  counts: Awaited<ReturnType<typeof countBackfillDays>>
  /** What is left of it, by what runs took; undefined where none has. */
  left: { fromMs: number; toMs: number } | undefined
}

/** All that a page shows. */
export interface View {
  now: Date
  timeZone: string
  /** How many decimals amounts have. */
  scale: number
  /** The first date that is known or wanted; undefined: there is none. */
  begun: string | undefined
  headline: Headline | undefined
  /** Duties of the sweep that keep failing. */
  failingDuties: FailingDuty[]
  /** Days that want a person, the newest first. */
  wants: { day: Day; want: Want }[]
  atWork: RunAtWork[]
  /** How many runs have not ended; more than `atWork` are only counted. */
  unfinished: number
  pause: (Pause & { tasksAtWork: number }) | undefined
  backfills: BackfillAtWork[]
  /** The newest first. */
  days: Day[]
  /** What readers see of the same weekday before, by date. */
  before: Map<string, Totals>
  chosen: DayDetail | undefined
}

const WANTS_MAX = 12
const AT_WORK_MAX = 6
const WEEKS = 5

/** Which day, and which of its versions and shards, is looked at closely. */
export interface Chosen {
  day?: string | undefined
  version?: number | undefined
  /** From 1. */
  shardPage?: number | undefined
}

/** A date out of an address; throws a PermanentError for one that is none, or after the last that has ended. */
export function checkEnded(date: string, last: string): string {
  const day = checkDate(date)
  if (day > last) throw new PermanentError(`${day} has not ended yet`)
  return day
}

/** A few statements, each by an index or of no more rows than there are days; how many runs there were is no matter. */
export async function readView(db: Database, settings: PageSettings, chosen: Chosen, now: Date): Promise<View> {
  const { timeZone, firstDate, deadline, scale } = settings
  const last = findYesterday(now, timeZone).date
  const [{ days, begun }, weekBefore, unfinished, backfills, pause, failingDuties] = await Promise.all([
    listWindow(db, settings, { from: addDays(last, 1 - WEEKS * 7), to: last }, now),
    listDays(db, addDays(last, 1 - (WEEKS + 1) * 7), addDays(last, -WEEKS * 7)),
    listUnfinishedRuns(db),
    listOpenBackfills(db),
    findPause(db),
    listFailingDuties(db),
  ])
  const shownOf = new Map([...days, ...weekBefore].map((day) => [day.date, day.shown?.totals]))
  const before = new Map(
    days.flatMap(({ date }) => {
      const totals = shownOf.get(addDays(date, -7))
      return totals ? [[date, totals] as const] : []
    }),
  )
  const known = begun === undefined ? [] : days.filter(({ date }) => date >= begun)
  const [yesterday] = days
  const order = ["running", "verifying", "planning", "waiting"]
  const first = unfinished.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).slice(0, AT_WORK_MAX)
  const day = chosen.day === undefined ? yesterday?.date : checkEnded(chosen.day, last)
  return {
    now,
    timeZone,
    scale,
    begun,
    headline:
      yesterday && (begun !== undefined || firstDate !== undefined)
        ? describeHeadline({ day: yesterday, before: before.get(yesterday.date), now, timeZone, deadline, scale })
        : undefined,
    failingDuties,
    wants: listWants(known).slice(0, WANTS_MAX),
    atWork: await readAtWork(db, first),
    unfinished: unfinished.length,
    pause: pause && { ...pause, tasksAtWork: await countTasksAtWork(db) },
    backfills: await readBackfills(db, backfills),
    days,
    before,
    chosen: day === undefined || begun === undefined ? undefined : await readDayDetail(db, day, chosen),
  }
}

/** Not those that are on their way, and not cancelled ones that readers see anyway. */
function listWants(days: Day[]): View["wants"] {
  return days.flatMap((day) => {
    const want = findWant(day)
    return want ? [{ day, want }] : []
  })
}

async function readAtWork(db: Database, found: UnfinishedRun[]): Promise<RunAtWork[]> {
  const read = await Promise.all(
    found.map(async ({ runId, throttled, pausedAt }) => {
      const progress = await readRunProgress(db, runId)
      return progress ? [{ progress, throttled, pausedAt }] : []
    }),
  )
  return read.flat()
}

async function readBackfills(db: Database, backfills: Backfill[]): Promise<BackfillAtWork[]> {
  if (backfills.length === 0) return []
  const times = await listRunTimes(db)
  return Promise.all(
    backfills.map(async (backfill) => {
      const counts = await countBackfillDays(db, backfill.backfillId)
      const left = estimateTime(times, { runs: counts.waiting + counts.asked, atOnce: backfill.runsAtOnce })
      return { backfill, counts, left }
    }),
  )
}

/** The dates of the calendar's weeks, Monday first; those after the last day are undefined. */
export function listWeeks(days: Day[]): (Day | undefined)[][] {
  const oldest = days.at(-1)?.date
  const newest = days[0]?.date
  if (oldest === undefined || newest === undefined) return []
  const weekday = (date: string) => (new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7
  const monday = addDays(oldest, -weekday(oldest))
  const byDate = new Map(days.map((day) => [day.date, day]))
  const dates = listDates(monday, addDays(newest, 6 - weekday(newest)))
  return Array.from({ length: dates.length / 7 }, (_, week) =>
    dates.slice(week * 7, week * 7 + 7).map((date) => byDate.get(date)),
  )
}
