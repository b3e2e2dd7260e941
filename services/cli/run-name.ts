const HOUR_MS = 3_600_000

/** The date that a run's name is or begins with. */
export function dateOf(run: string): string {
  return run.slice(0, "YYYY-MM-DD".length)
}

/**
 * The dates that "yesterday" may mean to the planner, whose time zone is not known here: local time is from 12 hours
 * behind UTC to 14 ahead of it, and an hour more is for clocks that differ.
 */
export function datesOfYesterday(now: Date): string[] {
  const dates = [-13, 0, 15].map((hours) => new Date(now.getTime() + (hours - 24) * HOUR_MS).toISOString().slice(0, 10))
  return [...new Set(dates)]
}
