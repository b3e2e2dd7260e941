import { and, desc, eq, inArray, isNull, max, sql } from "drizzle-orm"
import { type RunState, runs } from "../../schemas/database/ledger.ts"
import { publishedDays } from "../../schemas/database/revenue.ts"
import { type Database, isDuplicateKey, matchedRows } from "../database/open-database.ts"
import { verdictPath } from "../documents/document-paths.ts"
import { type DayTotals, recordDayChange } from "./day-changes.ts"
import { toTotals } from "./published-days.ts"
import { closeShards } from "./shards.ts"

export type Run = typeof runs.$inferSelect
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
  | "sourceWay"
  | "checksumMultipliers"
> & { repairOf?: string | undefined }

export const unfinishedStates: RunState[] = ["planning", "running", "verifying"]

// Another run of the same date may take the next version number first; each such loss means that another run began.
const VERSION_TRIES_MAX = 5

export function isUnfinished(state: RunState): boolean {
  return unfinishedStates.includes(state)
}

export async function findRun(db: Database, runId: string): Promise<Run | undefined> {
  const [run] = await db.select().from(runs).where(eq(runs.runId, runId))
  return run
}

export async function findNewestRun(db: Database, date: string): Promise<Run | undefined> {
  const [run] = await db.select().from(runs).where(eq(runs.revenueDate, date)).orderBy(desc(runs.version)).limit(1)
  return run
}

/** The run that repairs what an audit found, if there is one. */
export async function findRepair(db: Database, auditId: string): Promise<Run | undefined> {
  const [run] = await db.select().from(runs).where(eq(runs.repairOf, auditId))
  return run
}

/** Runs without a verdict, or whose verdict has not been announced: what a sweep looks after. */
export async function listOpenRuns(db: Database): Promise<Run[]> {
  const unfinished = await db.select().from(runs).where(inArray(runs.state, unfinishedStates))
  const unannounced = await db
    .select()
    .from(runs)
    .where(and(inArray(runs.state, ["complete", "incomplete"]), isNull(runs.announcedAt)))
  return [...unfinished, ...unannounced]
}

/**
 * Begins a run with the next version of its date, in state planning. If the date has another unfinished run, that one
 * is returned instead: the caller sees by its `runId`. The same run twice is the same run, and so is the same repair.
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
      await db.insert(runs).values({ ...run, version: (newest?.version ?? 0) + 1, state: "planning" })
    } catch (error) {
      if (isDuplicateKey(error, "runs_unfinished")) {
        const [unfinished] = await db.select().from(runs).where(eq(runs.unfinishedDate, run.revenueDate))
        if (unfinished) return unfinished
      }
      if (isDuplicateKey(error, "runs_repair")) {
        const repair = await findRepair(db, run.repairOf ?? "")
        if (repair) return repair
      }
      // Else the run of that key is finished by now, or somebody else took the version or began this very run.
      const retry = ["runs_unfinished", "runs_repair", "runs_version", "PRIMARY"].some((key) =>
        isDuplicateKey(error, key),
      )
      if (!retry || attempt === VERSION_TRIES_MAX) throw error
    }
  }
}

/**
 * Takes a run whose dispatch is over from running (or planning, if it never got out of it) to verifying, and fences
 * every shard that nobody finished. From here on nothing is written under the run's version until a rerun.
 */
export async function closeRun(db: Database, run: Pick<Run, "runId" | "dispatch">): Promise<void> {
  await db.transaction(async (tx) => {
    const closed = await tx
      .update(runs)
      .set({ state: "verifying", verifyingAt: sql`NOW(3)` })
      .where(
        and(eq(runs.runId, run.runId), eq(runs.dispatch, run.dispatch), inArray(runs.state, ["planning", "running"])),
      )
    if (matchedRows(closed) > 0) await closeShards(tx, run.runId)
  })
}

export interface Decision {
  state: "complete" | "incomplete"
  /** The verdict document, JSON. */
  verdict: string
  /** What the rows of a complete run add up to. */
  totals?: DayTotals | undefined
}

/**
 * Gives a run its verdict, once per dispatch, and with a complete one publishes the day in the same transaction; the
 * published version never goes back. Returns false if another finalizer has decided.
 */
export async function decideRun(db: Database, run: Run, decision: Decision): Promise<boolean> {
  return db.transaction(async (tx) => {
    const decided = await tx
      .update(runs)
      .set({ state: decision.state, verdict: decision.verdict, decidedAt: sql`NOW(3)`, announcedAt: null })
      .where(and(eq(runs.runId, run.runId), eq(runs.dispatch, run.dispatch), eq(runs.state, "verifying")))
    if (matchedRows(decided) === 0) return false
    if (decision.state === "complete") await publishDay(tx, run, decision.totals)
    return true
  })
}

/** Makes a version the one that readers see, and records that; never goes back to an older one. */
async function publishDay(tx: Database, run: Run, totals: DayTotals | undefined): Promise<void> {
  const ofDay = eq(publishedDays.revenueDate, run.revenueDate)
  const [shown] = await tx.select().from(publishedDays).where(ofDay).for("update")
  if (shown && shown.version >= run.version) return
  const day = {
    version: run.version,
    runId: run.runId,
    publishedAt: sql`NOW(3)`,
    state: "shown" as const,
    rowCount: totals?.users ?? null,
    purchases: totals?.purchases ?? null,
    amountCents: totals?.amountCents ?? null,
    auditedAt: null,
  }
  if (shown) await tx.update(publishedDays).set(day).where(ofDay)
  else await tx.insert(publishedDays).values({ revenueDate: run.revenueDate, ...day })
  await recordDayChange(tx, {
    date: run.revenueDate,
    state: run.repairOf !== null ? "repaired" : shown ? "shown-anew" : "shown",
    version: run.version,
    runId: run.runId,
    previousVersion: shown?.version,
    before: shown && toTotals(shown),
    after: totals,
    path: verdictPath(run.runId),
  })
}

/** Records that the verdict of this dispatch is in the bucket and on its topic. */
export async function markAnnounced(db: Database, run: Pick<Run, "runId" | "dispatch">): Promise<void> {
  await db
    .update(runs)
    .set({ announcedAt: sql`NOW(3)` })
    .where(and(eq(runs.runId, run.runId), eq(runs.dispatch, run.dispatch), isNull(runs.announcedAt)))
}

/**
 * Finished runs whose rows are not needed any more: not shown, and not among the newest versions of their date, of which
 * `versionsKept` are kept so that they can be compared.
 */
export async function listPrunableRuns(db: Database, versionsKept: number): Promise<Run[]> {
  const newest = db
    .select({ revenueDate: runs.revenueDate, version: max(runs.version).as("newest_version") })
    .from(runs)
    .groupBy(runs.revenueDate)
    .as("newest")
  const rows = await db
    .select({ run: runs })
    .from(runs)
    .innerJoin(newest, eq(newest.revenueDate, runs.revenueDate))
    .leftJoin(publishedDays, eq(publishedDays.revenueDate, runs.revenueDate))
    .where(
      and(
        inArray(runs.state, ["complete", "incomplete"]),
        isNull(runs.prunedAt),
        sql`${runs.version} <= ${newest.version} - ${versionsKept}`,
        sql`${runs.version} <> COALESCE(${publishedDays.version}, 0)`,
      ),
    )
  return rows.map((row) => row.run)
}

export async function markPruned(db: Database, runId: string): Promise<void> {
  await db.update(runs).set({ prunedAt: sql`NOW(3)` }).where(eq(runs.runId, runId))
}
