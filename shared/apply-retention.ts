import type { Bucket } from "@google-cloud/storage"
import type { Database } from "./database/open-database.ts"
import { auditPath, runFolder } from "./documents/document-paths.ts"
import { deleteDocument, deleteDocuments } from "./documents/documents.ts"
import { deleteAudit, deleteExpiredChanges, deleteRun } from "./ledger/delete-expired.ts"
import {
  countExpiredChanges,
  type ExpiredAudit,
  type ExpiredRun,
  findExpiredAudits,
  findExpiredRuns,
} from "./ledger/find-expired.ts"
import type { RetryOptions } from "./retry.ts"

/** What is older than it has to be kept, and on which nothing rests that readers see. */
export interface Expired {
  runs: ExpiredRun[]
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
  const before = new Date(now.getTime() - days * DAY_MS)
  const [runs, audits, dayChanges] = await Promise.all([
    findExpiredRuns(db, before, limit),
    findExpiredAudits(db, before, limit),
    countExpiredChanges(db, before),
  ])
  return { runs, audits, dayChanges }
}

/**
 * Forgets it. The documents go first and the ledger's row last: whatever is cut short is found and finished by the next.
 */
export async function deleteExpired(
  db: Database,
  bucket: Bucket,
  expired: Expired,
  settings: RetentionSettings,
  now: Date,
  options: RetryOptions,
): Promise<void> {
  for (const { runId } of expired.runs) {
    await deleteDocuments(bucket, `${runFolder(runId)}/`, options)
    await deleteRun(db, runId)
  }
  for (const { auditId, revenueDate, auditedAt, requestId } of expired.audits) {
    if (auditedAt) await deleteDocument(bucket, auditPath(revenueDate, auditedAt, requestId), options)
    await deleteAudit(db, auditId)
  }
  const before = new Date(now.getTime() - settings.RETENTION_DAYS * DAY_MS)
  for (let left = expired.dayChanges; left > 0; ) {
    const deleted = await deleteExpiredChanges(db, before)
    if (deleted === 0) return
    left -= deleted
  }
}
