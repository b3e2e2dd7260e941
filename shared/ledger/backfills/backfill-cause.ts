// An id is as long as its column.
const BACKFILL_CAUSE = /^\d{4}-\d{2}-\d{2} backfill ([\w-]{1,64})$/

/** The cause of a run that a backfill requests: there is one run for each. */
export const backfillCause = (date: string, backfillId: string) => `${date} backfill ${backfillId}`

/** The backfill that a cause is of, if it is one's. */
export function parseBackfillCause(cause: string | undefined): string | undefined {
  return cause === undefined ? undefined : BACKFILL_CAUSE.exec(cause)?.[1]
}
