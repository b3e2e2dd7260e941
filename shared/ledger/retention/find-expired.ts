import { and, asc, eq, gt, inArray, isNotNull, lt, max, ne } from "drizzle-orm"
import { audits, dayChanges, runs } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { isNotShown, selectVersions, type Version } from "../runs/find-runs.ts"
import { decidedStates, inStates } from "../runs/run-transitions.ts"

/** An audit of which nothing is needed any more. */
export interface ExpiredAudit {
  auditId: string
  revenueDate: string
  requestId: string
  auditedAt: Date | null
}

/**
 * Finds runs decided before a time whose rows are deleted already, in the order of their ids, which begin with the date, from
 * behind one on. Never the one that readers see, nor the newest of its date, from which the numbers of versions go on.
 */
export async function findExpiredRuns(db: Database, before: Date, limit: number, after?: string): Promise<Version[]> {
  const { newest, query } = selectVersions(db)
  return query
    .where(
      and(
        inStates(decidedStates),
        lt(runs.decidedAt, before),
        isNotNull(runs.announcedAt),
        isNotNull(runs.prunedAt),
        ne(runs.version, newest.version),
        isNotShown,
        after === undefined ? undefined : gt(runs.runId, after),
      ),
    )
    .orderBy(asc(runs.runId))
    .limit(limit)
}

/** Finds audits that ended before a time, but the newest of their date, in the order of their ids, from behind one on. */
export async function findExpiredAudits(
  db: Database,
  before: Date,
  limit: number,
  after?: string,
): Promise<ExpiredAudit[]> {
  const newest = db
    .select({ revenueDate: audits.revenueDate, auditedAt: max(audits.auditedAt).as("newest_audit") })
    .from(audits)
    .groupBy(audits.revenueDate)
    .as("newest")
  const { auditId, revenueDate, requestId, auditedAt } = audits
  return db
    .select({ auditId, revenueDate, requestId, auditedAt })
    .from(audits)
    .innerJoin(newest, eq(newest.revenueDate, audits.revenueDate))
    .where(
      and(
        inArray(audits.state, ["same", "drifted"]),
        lt(audits.auditedAt, before),
        isNotNull(audits.announcedAt),
        ne(audits.repair, "due"),
        ne(audits.auditedAt, newest.auditedAt),
        after === undefined ? undefined : gt(audits.auditId, after),
      ),
    )
    .orderBy(asc(audits.auditId))
    .limit(limit)
}

/** Counts what changed on published days, and was sent, before a time. */
export async function countExpiredChanges(db: Database, before: Date): Promise<number> {
  return db.$count(dayChanges, lt(dayChanges.sentAt, before))
}
