import { setTimeout as wait } from "node:timers/promises"
import { eq, max } from "drizzle-orm"
import { runs } from "../../../schemas/database/ledger.ts"
import type { Asker } from "../../asker.ts"
import { type Database, isDuplicateKey } from "../../database/open-database.ts"
import { findErrno } from "../../errors.ts"
import { parseBackfillCause } from "../backfills/backfill-cause.ts"
import { findRepair, findRun, type Run } from "./find-runs.ts"

export type NewRun = Pick<
  Run,
  | "runId"
  | "revenueDate"
  | "requestId"
  | "timeZone"
  | "fromAt"
  | "toAt"
  | "requestedAt"
  | "sourceIndex"
  | "accessPath"
  | "checksumMultipliers"
> &
  Partial<Asker> & { repairOf?: string | undefined; cause?: string | undefined }

// Another run of the same date may take the next version number first; each such loss means that another run began.
const VERSION_TRIES_MAX = 5

// ER_LOCK_DEADLOCK: so may end what several insert at once where all but one are duplicates
// (https://dev.mysql.com/doc/refman/8.4/en/innodb-locks-set.html, INSERT).
const DEADLOCK = 1213
// At random, so that they do not meet again.
const DEADLOCK_PAUSE_MS_MAX = 50

/**
 * Begins a run with the next version of its date, which waits for its turn. If the date has another unfinished run, that one
 * is returned instead: the caller sees by its `runId`. The same run twice is the same run, and so is the same repair, and
 * one of the same cause.
 */
export async function createRun(db: Database, run: NewRun): Promise<Run> {
  for (let attempt = 1; ; attempt++) {
    const existing = await findRun(db, run.runId)
    if (existing) return existing
    const [newest] = await db
      .select({ version: max(runs.version) })
      .from(runs)
      .where(eq(runs.revenueDate, run.revenueDate))
    try {
      await db.insert(runs).values({
        ...run,
        backfillId: parseBackfillCause(run.cause),
        version: (newest?.version ?? 0) + 1,
        state: "waiting",
      })
    } catch (error) {
      if (isDuplicateKey(error, "runs_unfinished")) {
        const [unfinished] = await db.select().from(runs).where(eq(runs.unfinishedDate, run.revenueDate))
        if (unfinished) return unfinished
      }
      if (isDuplicateKey(error, "runs_repair")) {
        const repair = await findRepair(db, run.repairOf ?? "")
        if (repair) return repair
      }
      if (isDuplicateKey(error, "runs_cause")) {
        const [caused] = await db
          .select()
          .from(runs)
          .where(eq(runs.cause, run.cause ?? ""))
        if (caused) return caused
      }
      // Else the run of that key is finished by now, or somebody else took the version or began this very run.
      const retry = ["runs_unfinished", "runs_repair", "runs_version", "PRIMARY"].some((key) =>
        isDuplicateKey(error, key),
      )
      const isDeadlock = findErrno(error) === DEADLOCK
      if (!(retry || isDeadlock) || attempt === VERSION_TRIES_MAX) throw error
      if (isDeadlock) await wait(Math.random() * DEADLOCK_PAUSE_MS_MAX)
    }
  }
}

/** Gives a run that has no shards yet the multipliers by which its checksums are to be made. */
export async function setMultipliers(db: Database, runId: string, checksumMultipliers: string): Promise<void> {
  await db.update(runs).set({ checksumMultipliers }).where(eq(runs.runId, runId))
}
