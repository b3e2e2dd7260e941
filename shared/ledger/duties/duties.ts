import { and, asc, eq, gte, inArray, isNotNull, sql } from "drizzle-orm"
import { duties } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

/** The duties of the finalizer's sweep, each with what does not happen while it fails. */
export const dutyEffects = {
  "look-after-runs": "runs whose tasks ended in silence get no verdict, and verdicts that were not sent stay unsent",
  "start-waiting": "runs that wait for a slot, or for the end of a pause, start late",
  "watch-deadline": "nobody is notified of a late day, nor of its arrival",
  "fill-gaps": "missing days since FIRST_DATE are not requested",
  "drive-backfills": "backfills do not continue",
  "prune-versions": "rows of old versions stay in the database",
  "delete-expired": "runs and audits stay longer than RETENTION_DAYS",
  "plan-night": "no audits are planned for the night",
  "work-off-audits": "audits do not continue",
  "announce-audits": "the documents of ended audits are not in the bucket",
  "send-day-changes": "subscribers of day-changes are not notified",
  "repair-days": "drifted days are not repaired",
  "record-numbers": "the metrics of the days are old",
} as const

export type DutyName = keyof typeof dutyEffects

/** What became of the attempts of a duty since they were last recorded. */
export interface DutyRecord {
  name: DutyName
  /** The newest success; undefined: there was none. */
  succeededAt: Date | undefined
  /** Failures since that success, or else since the last record. */
  failures: number
  /** When the first of them happened. */
  failingSince: Date | undefined
  lastError: string | undefined
}

/** A duty that needs attention. */
export interface FailingDuty {
  name: DutyName
  failures: number
  failingSince: Date | null
  lastError: string | null
  succeededAt: Date | null
}

// One may be a deployment or a failover; three in a row last minutes.
export const FAILURES_BEFORE_ATTENTION = 3

/** The row of a duty that only another version of Daybook has stays as it was: it is passed over. */
export const needsAttention = and(
  gte(duties.failures, FAILURES_BEFORE_ATTENTION),
  inArray(duties.name, Object.keys(dutyEffects)),
)

// A sentence or two; the log has all of it.
const ERROR_CHARACTERS_MAX = 1_000

/** Adds to what is known of duties, in one statement: several finalizers may record at once. */
export async function recordDuties(db: Database, records: DutyRecord[]): Promise<void> {
  if (records.length === 0) return
  const hasSucceeded = sql`VALUES(succeeded_at) IS NOT NULL`
  await db
    .insert(duties)
    .values(
      records.map(({ name, succeededAt, failures, failingSince, lastError }) => ({
        name,
        failingSince: failingSince ?? null,
        failures,
        lastError: lastError?.slice(0, ERROR_CHARACTERS_MAX) ?? null,
        succeededAt: succeededAt ?? null,
      })),
    )
    // Both servers assign from left to right, so each expression reads no other column that changes.
    .onDuplicateKeyUpdate({
      set: {
        failingSince: sql`IF(${hasSucceeded}, VALUES(failing_since), COALESCE(failing_since, VALUES(failing_since)))`,
        failures: sql`IF(${hasSucceeded}, VALUES(failures), failures + VALUES(failures))`,
        lastError: sql`VALUES(last_error)`,
        succeededAt: sql`COALESCE(VALUES(succeeded_at), succeeded_at)`,
      },
    })
}

/** Duties that need attention, the longest failing first. */
export async function listFailingDuties(db: Database): Promise<FailingDuty[]> {
  const rows = await db.select().from(duties).where(needsAttention).orderBy(asc(duties.failingSince), asc(duties.name))
  return rows.map(({ name, ...row }) => ({ ...row, name: name as DutyName }))
}

/** The errors that the ledger keeps, whatever duty they are of. */
export async function listDutyErrors(db: Database): Promise<{ name: string; lastError: string }[]> {
  const rows = await db
    .select({ name: duties.name, lastError: duties.lastError })
    .from(duties)
    .where(isNotNull(duties.lastError))
  return rows.map(({ name, lastError }) => ({ name, lastError: lastError ?? "" }))
}

/** Replaces an error, unless another has been recorded since. */
export async function replaceDutyError(
  db: Database,
  { name, lastError }: { name: string; lastError: string },
  text: string,
): Promise<void> {
  await db
    .update(duties)
    .set({ lastError: text })
    .where(and(eq(duties.name, name), eq(duties.lastError, lastError)))
}
