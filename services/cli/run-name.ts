/** What a person may name a run by. */
export type RunName = { runId: string } | { date: string }

const DATE = /^\d{4}-\d{2}-\d{2}$/
// The planner makes it of the date and the message's id.
const RUN_ID = /^\d{4}-\d{2}-\d{2}-[\w.~-]{1,53}$/

const HOUR_MS = 3_600_000

/** Whether it has the form of a date. Whether it exists and has ended is the planner's to judge. */
export function isDate(text: string): boolean {
  return DATE.test(text)
}

/** Undefined if it is neither a date nor a run's id. */
export function parseRunName(text: string): RunName | undefined {
  if (isDate(text)) return { date: text }
  return RUN_ID.test(text) ? { runId: text } : undefined
}

/** The date that a run's id begins with. */
export function dateOf(name: RunName): string {
  return "date" in name ? name.date : name.runId.slice(0, "YYYY-MM-DD".length)
}

/** As a request says it. */
export function toRunField(name: RunName) {
  return "runId" in name ? { case: "runId" as const, value: name.runId } : { case: "date" as const, value: name.date }
}

export function describeRunName(name: RunName): string {
  return "runId" in name ? `run ${name.runId}` : `the newest run of ${name.date}`
}

/**
 * The dates that "yesterday" may mean to the planner, whose time zone is not known here: local time is from 12 hours
 * behind UTC to 14 ahead of it, and an hour more is for clocks that differ.
 */
export function datesOfYesterday(now: Date): string[] {
  const dates = [-13, 0, 15].map((hours) => new Date(now.getTime() + (hours - 24) * HOUR_MS).toISOString().slice(0, 10))
  return [...new Set(dates)]
}
