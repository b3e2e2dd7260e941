import { deleteExpired, findExpired } from "../../shared/apply-retention.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { formatCount } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import { readRetentionConfig } from "./config.ts"
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
    if (!dryRun) {
      const log = await createLog("cli", "silent")
      await deleteExpired(db, openBucket(config), expired, config, now, { log, signal: terminal.signal })
    }
    const { runs, audits, dayChanges } = expired
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
    ]
    printResult(terminal, json, { dryRun, retentionDays: config.RETENTION_DAYS, ...expired }, lines)
    return exitCodes.ok
  } finally {
    await database.close()
  }
}
