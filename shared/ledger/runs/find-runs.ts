import { and, asc, desc, eq, isNull, max, sql } from "drizzle-orm"
import { runs } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import type { Shop } from "../../../schemas/database/shop.ts"
import type { Database } from "../../database/open-database.ts"
import { decidedStates, inStates, unfinishedStates } from "./run-transitions.ts"

export type Run = typeof runs.$inferSelect

/** A run with the shop that its day is read from: what a day's numbers are computed, proven and compared by. */
export type ShopRun = Run & { shop: Shop }

/** Counts unfinished runs, but for those of backfills, of which there may be some for weeks. */
export async function countUnfinishedRuns(db: Database): Promise<number> {
  return db.$count(runs, and(inStates(unfinishedStates), isNull(runs.backfillId)))
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
  const unfinished = await db.select().from(runs).where(inStates(unfinishedStates))
  const unannounced = await db
    .select()
    .from(runs)
    .where(and(inStates(decidedStates), isNull(runs.announcedAt)))
  return [...unfinished, ...unannounced]
}

export async function listCancelledRuns(db: Database, date: string): Promise<Run[]> {
  return db
    .select()
    .from(runs)
    .where(and(eq(runs.revenueDate, date), eq(runs.state, "cancelled")))
}

/** Whether a run is one of a backfill's. */
export function isOfBackfill({ backfillId }: Pick<Run, "backfillId">): boolean {
  return backfillId !== null
}

/** The versions of a date whose rows are still there, the lowest first. A run at work has none yet, or not all. */
export async function listKeptVersions(db: Database, date: string): Promise<number[]> {
  const rows = await db
    .select({ version: runs.version })
    .from(runs)
    .where(and(eq(runs.revenueDate, date), inStates(decidedStates), isNull(runs.prunedAt)))
    .orderBy(asc(runs.version))
  return rows.map(({ version }) => version)
}

/** A run without a verdict, and why it does not continue, if it does not. */
export type UnfinishedRun = Pick<Run, "runId" | "state" | "throttled" | "pausedAt">

export async function listUnfinishedRuns(db: Database): Promise<UnfinishedRun[]> {
  return db
    .select({ runId: runs.runId, state: runs.state, throttled: runs.throttled, pausedAt: runs.pausedAt })
    .from(runs)
    .where(inStates(unfinishedStates))
}

/** A version of a date. */
export type Version = Pick<Run, "runId" | "revenueDate" | "version">

/** Selects runs beside the newest version of their date and, if there is any, the one that readers see. */
export function selectVersions(db: Database) {
  const newest = db
    .select({ revenueDate: runs.revenueDate, version: max(runs.version).as("newest_version") })
    .from(runs)
    .groupBy(runs.revenueDate)
    .as("newest")
  const query = db
    .select({ runId: runs.runId, revenueDate: runs.revenueDate, version: runs.version })
    .from(runs)
    .innerJoin(newest, eq(newest.revenueDate, runs.revenueDate))
    .leftJoin(publishedDays, eq(publishedDays.revenueDate, runs.revenueDate))
  return { newest, query }
}

/** Of a run whose `published_days` are joined, if there are any: that readers do not see it. */
export const isNotShown = sql`${runs.version} <> COALESCE(${publishedDays.version}, 0)`
