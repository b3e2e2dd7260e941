import type { Bucket } from "@google-cloud/storage"
import type { Database } from "./database/open-database.ts"
import { auditPath, runFolder } from "./documents/document-paths.ts"
import { deleteDocument, deleteDocuments } from "./documents/documents.ts"
import { deleteAudit, deleteExpiredChanges, deleteRun } from "./ledger/retention/delete-rows.ts"
import {
  countExpiredChanges,
  type ExpiredAudit,
  findExpiredAudits,
  findExpiredRuns,
} from "./ledger/retention/find-expired.ts"
import type { Version } from "./ledger/runs/find-runs.ts"
import type { RetryOptions } from "./retry.ts"

/** What is older than it has to be kept, and on which nothing rests that readers see. */
export interface Expired {
  runs: Version[]
  audits: ExpiredAudit[]
  dayChanges: number
}

/** The settings that say how long. */
export interface RetentionSettings {
  /** Days since their verdict for which runs that nobody sees any more are kept; 0: for ever. */
  RETENTION_DAYS: number
}

const DAY_MS = 86_400_000

const nothing: Expired = { runs: [], audits: [], dayChanges: 0 }

/**
 * Finds what may be forgotten: ledger rows and documents of runs whose rows are deleted already, of audits that were
 * followed by others, and messages about days that were sent. At most `limit` runs and as many audits.
 */
export async function findExpired(
  db: Database,
  { RETENTION_DAYS: days }: RetentionSettings,
  now: Date,
  limit: number,
): Promise<Expired> {
  if (days === 0) return nothing
  const before = findExpiringBefore({ RETENTION_DAYS: days }, now)
  const [runs, audits, dayChanges] = await Promise.all([
    findExpiredRuns(db, before, limit),
    findExpiredAudits(db, before, limit),
    countExpiredChanges(db, before),
  ])
  return { runs, audits, dayChanges }
}

/** Rows and documents decided, audited or sent before this are forgotten. */
export function findExpiringBefore({ RETENTION_DAYS: days }: RetentionSettings, now: Date): Date {
  return new Date(now.getTime() - days * DAY_MS)
}

/** Forgets a run. The documents go first and the ledger's row last: whatever is cut short is found and finished by the next. */
export async function deleteExpiredRun(
  db: Database,
  bucket: Bucket,
  { runId }: Version,
  options: RetryOptions,
): Promise<void> {
  await deleteDocuments(bucket, `${runFolder(runId)}/`, options)
  await deleteRun(db, runId)
}

/** Forgets an audit, in the same order. */
export async function deleteExpiredAudit(
  db: Database,
  bucket: Bucket,
  { auditId, revenueDate, auditedAt, requestId }: ExpiredAudit,
  options: RetryOptions,
): Promise<void> {
  if (auditedAt) await deleteDocument(bucket, auditPath(revenueDate, auditedAt, requestId), options)
  await deleteAudit(db, auditId)
}

/** Forgets messages about days, in short transactions. */
export async function deleteOldChanges(db: Database, before: Date): Promise<void> {
  for (let left = await countExpiredChanges(db, before); left > 0; ) {
    const deleted = await deleteExpiredChanges(db, before)
    if (deleted === 0) return
    left -= deleted
  }
}
