import { and, countDistinct, eq, gt, inArray, isNotNull, isNull, lte, or, sql } from "drizzle-orm"
import { backfills, controls, runs, shards } from "../../../schemas/database/ledger.ts"
import type { Asker } from "../../asker.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import { openStates } from "../backfills/backfills.ts"
import type { Run } from "../runs/find-runs.ts"

export type Pause = typeof controls.$inferSelect

/** The pause that holds now; undefined if everything goes on. */
export async function findPause(db: Database): Promise<Pause | undefined> {
  const [pause] = await db
    .select()
    .from(controls)
    .where(
      and(
        eq(controls.name, "runs"),
        eq(controls.paused, true),
        or(isNull(controls.untilAt), gt(controls.untilAt, sql`NOW(3)`)),
      ),
    )
  return pause
}

/** Pauses everything, or lets it go on; returns false if a request that was published later has said something since. */
export async function setPause(
  db: Database,
  pause: Asker & { paused: boolean; untilAt: Date | null; changedAt: Date },
): Promise<boolean> {
  const set = await db
    .update(controls)
    .set(pause)
    .where(and(eq(controls.name, "runs"), or(isNull(controls.changedAt), lte(controls.changedAt, pause.changedAt))))
  return matchedRows(set) > 0
}

/**
 * Pauses a backfill, or lets it go on; returns false if it is not at work any more, or a request that was published later
 * has said something since.
 */
export async function setBackfillPause(
  db: Database,
  backfillId: string,
  { paused, changedAt }: { paused: boolean; changedAt: Date },
): Promise<boolean> {
  const set = await db
    .update(backfills)
    .set({ state: paused ? "paused" : "at-work", pauseChangedAt: changedAt })
    .where(
      and(
        eq(backfills.backfillId, backfillId),
        inArray(backfills.state, openStates),
        or(isNull(backfills.pauseChangedAt), lte(backfills.pauseChangedAt, changedAt)),
      ),
    )
  return matchedRows(set) > 0
}

/** Writes down that a task of a run has stopped because of a pause: its shards need an execution afterwards. */
export async function markRunPaused(db: Database, runId: string): Promise<void> {
  await db
    .update(runs)
    .set({ pausedAt: sql`NOW(3)` })
    .where(and(eq(runs.runId, runId), isNull(runs.pausedAt)))
}

/** An execution has been started since: unless a task has stopped anew. */
export async function clearRunPaused(db: Database, { runId, pausedAt }: Run): Promise<void> {
  if (pausedAt === null) return
  await db
    .update(runs)
    .set({ pausedAt: null })
    .where(and(eq(runs.runId, runId), eq(runs.pausedAt, pausedAt)))
}

/** Runs that stopped because of a pause, and are planned: at most as many as were at work. */
export async function listPausedRuns(db: Database): Promise<Pick<Run, "runId">[]> {
  return db
    .select({ runId: runs.runId })
    .from(runs)
    .where(and(eq(runs.state, "running"), isNotNull(runs.pausedAt)))
}

/** How many tasks have a shard at work. */
export async function countTasksAtWork(db: Database): Promise<number> {
  const [row] = await db
    .select({ tasks: countDistinct(sql`CONCAT(${shards.execution}, '/', ${shards.taskIndex})`) })
    .from(runs)
    .innerJoin(shards, eq(shards.runId, runs.runId))
    .where(and(inArray(runs.state, ["planning", "running"]), eq(shards.state, "claimed")))
  return row?.tasks ?? 0
}

/** Says of a run why a task of it waits for the database; null: it goes on. */
export async function noteThrottled(db: Database, runId: string, reason: string | null): Promise<void> {
  await db
    .update(runs)
    .set({ throttled: reason?.slice(0, 255) ?? null })
    .where(eq(runs.runId, runId))
}
