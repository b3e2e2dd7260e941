import { Temporal } from "temporal-polyfill"
import { PermanentError } from "../errors.ts"

/** A revenue date and the instants between which it lies. */
export interface RevenueDay {
  /** YYYY-MM-DD. */
  date: string
  /** First instant, inclusive; UTC. */
  fromAt: Date
  /** First instant after it; UTC. A day has 23 or 25 hours where daylight saving changes. */
  toAt: Date
}

/**
 * Ten years: no request, setting or search is of more days at once. Each day is a row that a process holds, and what a
 * person means by "all" is less.
 */
export const DAYS_MAX = 3_660

/**
 * The day a request names. `yesterday` is the day before the one on which the message was published, in the time zone,
 * so that a redelivery means the same day. Throws a PermanentError for a date that does not exist or has not ended at
 * `now`.
 */
export function resolveRevenueDay(date: string, timeZone: string, publishedAt: Date, now: Date): RevenueDay {
  const day = date === "yesterday" ? yesterday(publishedAt, timeZone) : parseDate(date)
  const fromAt = startOfDay(day, timeZone)
  const toAt = startOfDay(day.add({ days: 1 }), timeZone)
  if (toAt.getTime() > now.getTime()) {
    throw new PermanentError(
      `the date ${day.toString()} has not ended yet in ${timeZone}: it ends at ${toAt.toISOString()}; publish it again after that`,
    )
  }
  return { date: day.toString(), fromAt, toAt }
}

/** The day before the one that it is at `now` in the time zone. */
export function findYesterday(now: Date, timeZone: string): RevenueDay {
  const day = yesterday(now, timeZone)
  return { date: day.toString(), fromAt: startOfDay(day, timeZone), toAt: startOfDay(day.add({ days: 1 }), timeZone) }
}

/** The date so many days later. Throws a PermanentError for a date that does not exist. */
export function addDays(date: string, days: number): string {
  return parseDate(date).add({ days }).toString()
}

/** Every date from the first to the last. */
export function listDates(from: string, to: string): string[] {
  const dates: string[] = []
  for (let day = parseDate(from); day.toString() <= to; day = day.add({ days: 1 })) dates.push(day.toString())
  return dates
}

/** When the clock of a time zone shows a time (HH:MM) on a date; the first such moment, or the next after a leap. */
export function instantOf(date: string, time: string, timeZone: string): Date {
  const at = parseDate(date).toZonedDateTime({ timeZone, plainTime: Temporal.PlainTime.from(time) })
  return new Date(at.epochMilliseconds)
}

/** Returns the date; throws a PermanentError for one that does not exist. */
export function checkDate(date: string): string {
  return parseDate(date).toString()
}

/** Throws a PermanentError for dates that do not exist, of which the last is before the first, or that are too many. */
export function checkDates(from: string, to: string): void {
  checkDate(from)
  checkDate(to)
  if (from > to) throw new PermanentError(`the date ${from} is after ${to}`)
  if (addDays(from, DAYS_MAX) <= to) throw new PermanentError(`from ${from} to ${to} are more than ${DAYS_MAX} days`)
}

function yesterday(publishedAt: Date, timeZone: string): Temporal.PlainDate {
  return Temporal.Instant.fromEpochMilliseconds(publishedAt.getTime())
    .toZonedDateTimeISO(timeZone)
    .toPlainDate()
    .subtract({ days: 1 })
}

function parseDate(date: string): Temporal.PlainDate {
  // MySQL's DATE has four digits for the year and begins with 1000.
  if (!/^[1-9]\d{3}-\d{2}-\d{2}$/.test(date)) {
    throw new PermanentError(
      `the date ${JSON.stringify(date.slice(0, 40))} is not of the form YYYY-MM-DD, nor "yesterday"`,
    )
  }
  try {
    return Temporal.PlainDate.from(date, { overflow: "reject" })
  } catch (cause) {
    throw new PermanentError(`the date ${date} does not exist`, { cause })
  }
}

function startOfDay(day: Temporal.PlainDate, timeZone: string): Date {
  return new Date(day.toZonedDateTime(timeZone).epochMilliseconds)
}
