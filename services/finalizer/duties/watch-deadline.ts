import type { Database } from "../../../shared/database/open-database.ts"
import { addDays, findYesterday, instantOf } from "../../../shared/day/revenue-day.ts"
import { listArrivedDays, tellArrived, tellLate } from "../../../shared/ledger/days/late-days.ts"
import { findPublishedDay } from "../../../shared/ledger/days/published-days.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { tryEach } from "./try-each.ts"

export interface DeadlineSettings {
  REVENUE_TIME_ZONE: string
  /** HH:MM in that time zone, by which readers see the day before; undefined: at no time. */
  DEADLINE?: string | undefined
}

export interface DeadlineContext {
  db: Database
  log: Log
  night: DeadlineSettings
  now(): Date
}

/**
 * Asks whether readers see the day that has ended, at its deadline and as long as they do not, whether or not anybody ever
 * asked for it. That it is late is told once, and once that it is there: on day-changes, and by a line in the log.
 */
export async function watchDeadline(context: DeadlineContext): Promise<void> {
  const { db, log, night } = context
  const { DEADLINE: deadline, REVENUE_TIME_ZONE: timeZone } = night
  const announceLate = async () => {
    if (deadline === undefined) return
    const { date } = findYesterday(context.now(), timeZone)
    if (context.now() < instantOf(addDays(date, 1), deadline, timeZone)) return
    if ((await findPublishedDay(db, date)) === undefined && (await tellLate(db, date))) {
      log.error({ date, deadline }, "a day is late")
    }
  }
  const announceArrived = async () =>
    tryEach(await listArrivedDays(db), async (day) => {
      const { revenueDate: date, version } = day
      if (await tellArrived(db, day)) log.info({ date, version }, "a day that was late is there")
    })
  await tryEach([announceArrived, announceLate], (announce) => announce())
}
