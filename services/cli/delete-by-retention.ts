import type { Bucket } from "@google-cloud/storage"
import {
  deleteExpiredAudit,
  deleteExpiredRun,
  deleteOldChanges,
  type Expired,
  findExpired,
  findExpiringBefore,
} from "../../shared/apply-retention.ts"
import { type Database, openDatabase } from "../../shared/database/open-database.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { formatCount } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import { isTransient } from "../../shared/transient.ts"
import { readRetentionConfig } from "./config.ts"
import { explainError } from "./explain-error.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

// More than a decade of daily runs has.
const EXPIRED_MAX = 10_000

/** `daybook retention`: forgets what is older than RETENTION_DAYS, or only lists it. */
export async function applyRetention(
  { dryRun, json }: { dryRun: boolean; json: boolean },
  terminal: Terminal,
): Promise<number> {
  const config = readRetentionConfig(terminal.env)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 3 })
  const { db } = database
  try {
    const now = new Date()
    const expired = await findExpired(db, config, now, EXPIRED_MAX)
    const { left, ...gone } = dryRun
      ? { ...expired, left: [] }
      : await deleteExpired(db, openBucket(config), expired, findExpiringBefore(config, now), terminal)
    const { runs, audits, dayChanges } = gone
    const counts = `${formatCount(runs.length)} runs, ${formatCount(audits.length)} audits and ${formatCount(dayChanges)} messages about days`
    const age =
      config.RETENTION_DAYS === 0
        ? "RETENTION_DAYS is 0: everything is kept"
        : `older than ${config.RETENTION_DAYS} days`
    const columns = [{ title: "DATE" }, { title: "VERSION", align: "right" as const }, { title: "RUN" }]
    const rows = runs.map((run) => [run.revenueDate, String(run.version), run.runId])
    const lines = [
      `${dryRun ? "would be deleted" : "deleted"}: ${counts} (${age})`,
      ...(rows.length > 0 ? renderTable(columns, rows) : []),
      ...left.map(({ where, reason }) => `left: ${where}: ${reason}`),
    ]
    printResult(terminal, json, { dryRun, retentionDays: config.RETENTION_DAYS, ...gone, left }, lines)
    return left.length === 0 ? exitCodes.ok : exitCodes.failed
  } finally {
    await database.close()
  }
}

/** Deletes each of it. What is refused, such as by a hold in the bucket, is left and keeps nothing else. */
async function deleteExpired(
  db: Database,
  bucket: Bucket,
  { runs, audits, dayChanges }: Expired,
  before: Date,
  { env, signal }: Terminal,
): Promise<Expired & { left: { where: string; reason: string }[] }> {
  const options = { log: await createLog("cli", "silent"), signal }
  const gone: Expired & { left: { where: string; reason: string }[] } = { runs: [], audits: [], dayChanges, left: [] }
  const keep = (where: string) => (error: unknown) => {
    // Whatever passes would meet the next one, too.
    if (isTransient(error) || signal.aborted) throw error
    gone.left.push({ where, reason: explainError(error, env) })
  }
  for (const run of runs) {
    const deleting = deleteExpiredRun(db, bucket, run, options)
    await deleting.then(() => gone.runs.push(run), keep(`run ${run.runId}`))
  }
  for (const audit of audits) {
    const deleting = deleteExpiredAudit(db, bucket, audit, options)
    await deleting.then(() => gone.audits.push(audit), keep(`audit ${audit.auditId}`))
  }
  await deleteOldChanges(db, before)
  return gone
}
