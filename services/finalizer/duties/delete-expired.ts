import type { Bucket } from "@google-cloud/storage"
import {
  deleteExpiredAudit,
  deleteExpiredRun,
  deleteOldChanges,
  findExpiringBefore,
  type RetentionSettings,
} from "../../../shared/apply-retention.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { type ExpiredAudit, findExpiredAudits, findExpiredRuns } from "../../../shared/ledger/retention/find-expired.ts"
import type { Version } from "../../../shared/ledger/runs/find-runs.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { tryEach } from "./try-each.ts"
import { createWalk } from "./walk-list.ts"

export interface RetentionContext {
  db: Database
  bucket: Bucket
  log: Log
  retention: RetentionSettings
  now(): Date
}

// A few documents each; a backlog is gone after some sweeps.
const EXPIRED_PER_CALL = 20

// The next sweep repeats what fails.
const RETRIES_MAX = 1

/** Makes the function that deletes what is older than it has to be kept. */
export function createRetention(context: RetentionContext): () => Promise<"more" | void> {
  const { db, bucket, log, retention } = context
  const options = { log, retriesMax: RETRIES_MAX }
  const before = () => findExpiringBefore(retention, context.now())
  const walkRuns = createWalk<Version>({
    list: async (after) => findExpiredRuns(db, before(), EXPIRED_PER_CALL, after?.runId),
    pageSize: EXPIRED_PER_CALL,
    work: async (run) => {
      await deleteExpiredRun(db, bucket, run, options)
      log.info({ runId: run.runId }, "a run older than RETENTION_DAYS is forgotten")
    },
  })
  const walkAudits = createWalk<ExpiredAudit>({
    list: async (after) => findExpiredAudits(db, before(), EXPIRED_PER_CALL, after?.auditId),
    pageSize: EXPIRED_PER_CALL,
    work: (audit) => deleteExpiredAudit(db, bucket, audit, options),
  })
  return async () => {
    if (retention.RETENTION_DAYS === 0) return undefined
    const left: ("more" | void)[] = []
    await tryEach([walkRuns, walkAudits], async (walk) => left.push(await walk()))
    await deleteOldChanges(db, before())
    return left.includes("more") ? "more" : undefined
  }
}
