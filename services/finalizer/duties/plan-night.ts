import type { Database } from "../../../shared/database/open-database.ts"
import { addDays, findYesterday } from "../../../shared/day/revenue-day.ts"
import { listNewestPublishedDates } from "../../../shared/ledger/audits/find-audits.ts"
import { requestAudits } from "../../../shared/ledger/audits/request-audits.ts"
import { findNewestRun, isOfBackfill, listOpenRuns } from "../../../shared/ledger/runs/find-runs.ts"
import { isUnfinished } from "../../../shared/ledger/runs/run-transitions.ts"
import type { Log } from "../../../shared/telemetry/log.ts"

/** What the sweep does by itself with days that are published. */
export interface NightSettings {
  REVENUE_TIME_ZONE: string
  /** How many published days are audited each night; 0: none. */
  AUDIT_DAYS: number
  /** How many of the newest dates are started anew if they have drifted; 0: none. */
  REPAIR_DAYS: number
}

export interface NightContext {
  db: Database
  log: Log
  night: NightSettings
  /** The date after whose end audits were asked for last, by this process. */
  nightPlanned: string | undefined
  now(): Date
}

// Where nobody asks for the day by then, there is no night's run to wait for.
const RUN_AWAITED_MS = 3 * 3_600_000

/**
 * Asks once in a night for audits of the newest published days, after the night's own run has its verdict. The day of
 * that run is not among them: it was compared with the shop this very night.
 */
export async function planNight(context: NightContext): Promise<void> {
  const { db, log, night } = context
  const now = context.now()
  if (night.AUDIT_DAYS === 0) return
  const yesterday = findYesterday(now, night.REVENUE_TIME_ZONE)
  if (context.nightPlanned === yesterday.date) return
  // The shop is read by one at a time, and a run goes first; a backfill may take weeks, and audits do not wait for that.
  if (!(await listOpenRuns(db)).every(isOfBackfill)) return
  const run = await findNewestRun(db, yesterday.date)
  if (run ? isUnfinished(run.state) : now.getTime() < yesterday.toAt.getTime() + RUN_AWAITED_MS) return
  const dates = await listNewestPublishedDates(db, yesterday.date, night.AUDIT_DAYS)
  await requestAudits(db, `night-${yesterday.date}`, dates, now)
  context.nightPlanned = yesterday.date
  if (dates.length > 0) log.info({ night: yesterday.date, dates }, "this night's audits are asked for")
}

/** The oldest date that is started anew by itself; undefined for none. */
export function firstDateToRepair(night: NightSettings, now: Date): string | undefined {
  if (night.REPAIR_DAYS === 0) return undefined
  return addDays(findYesterday(now, night.REVENUE_TIME_ZONE).date, 1 - night.REPAIR_DAYS)
}
