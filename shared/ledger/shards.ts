import { and, asc, eq, inArray, isNull, lte, or, sql } from "drizzle-orm"
import type { ResultSetHeader } from "mysql2"
import { dispatches, shards } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows, requireRow } from "../database/open-database.ts"
import type { RowTotals } from "../day/revenue-rows.ts"
import { StaleEpochError } from "../errors.ts"

export type Shard = typeof shards.$inferSelect

/** A Cloud Run task at one of its attempts. */
export interface TaskAttempt {
  execution: string
  taskIndex: number
  attempt: number
}

/** A shard under an epoch: what a write after a claim must match, the fencing predicate. */
export type Claim = Pick<Shard, "runId" | "shardIndex" | "dispatch" | "epoch">

const ofShard = (runId: string, index: number) => and(eq(shards.runId, runId), eq(shards.shardIndex, index))

const underClaim = (claim: Claim) =>
  and(ofShard(claim.runId, claim.shardIndex), eq(shards.epoch, claim.epoch), eq(shards.state, "claimed"))

const ofTask = (task: TaskAttempt) => and(eq(shards.execution, task.execution), eq(shards.taskIndex, task.taskIndex))

export async function findShard(db: Database, runId: string, index: number): Promise<Shard | undefined> {
  const [shard] = await db.select().from(shards).where(ofShard(runId, index))
  return shard
}

export async function countShards(db: Database, runId: string): Promise<number> {
  return db.$count(shards, eq(shards.runId, runId))
}

export async function listShards(db: Database, runId: string): Promise<Shard[]> {
  return db.select().from(shards).where(eq(shards.runId, runId)).orderBy(asc(shards.shardIndex))
}

/** The shard at a place of a dispatch: the task with this index claims it first. */
export async function findShardAt(
  db: Database,
  runId: string,
  dispatch: number,
  position: number,
): Promise<Shard | undefined> {
  const [shard] = await db
    .select()
    .from(shards)
    .where(and(eq(shards.runId, runId), eq(shards.dispatch, dispatch), eq(shards.position, position)))
  return shard
}

/** The first shard of a dispatch that nobody has claimed. */
export async function findOfferedShard(db: Database, runId: string, dispatch: number): Promise<Shard | undefined> {
  const [shard] = await db
    .select()
    .from(shards)
    .where(and(eq(shards.runId, runId), eq(shards.dispatch, dispatch), eq(shards.state, "offered")))
    .orderBy(asc(shards.position))
    .limit(1)
  return shard
}

/** What this task or an earlier attempt of it has claimed and not finished, or finished and not yet reported. */
export async function listLeftShards(
  db: Database,
  runId: string,
  dispatch: number,
  task: TaskAttempt,
): Promise<Shard[]> {
  return db
    .select()
    .from(shards)
    .where(
      and(
        eq(shards.runId, runId),
        eq(shards.dispatch, dispatch),
        ofTask(task),
        or(eq(shards.state, "claimed"), and(inArray(shards.state, ["done", "failed"]), isNull(shards.reportedAt))),
      ),
    )
    .orderBy(asc(shards.position))
}

/**
 * Claims a shard of a dispatch in one atomic statement, and raises its epoch. Succeeds if nobody has the shard, or an
 * attempt of this same task of this same execution up to this one has it; taking over from an earlier attempt counts
 * as a crash. Returns undefined if the shard is somebody else's, finished, or offered by another dispatch by now.
 */
export async function claimShard(
  db: Database,
  { runId, shardIndex, dispatch }: Pick<Shard, "runId" | "shardIndex" | "dispatch">,
  task: TaskAttempt,
): Promise<Claim | undefined> {
  const [{ affectedRows, insertId: epoch }] = await db
    .update(shards)
    .set({
      // Assignments run from left to right, in the order of the table's columns: `attempt` still is the old one here,
      // and null if nobody has the shard.
      crashes: sql`IF(attempt < ${task.attempt}, crashes + 1, crashes)`,
      epoch: sql`LAST_INSERT_ID(epoch + 1)`,
      state: "claimed",
      execution: task.execution,
      taskIndex: task.taskIndex,
      attempt: task.attempt,
      claimedAt: sql`NOW(3)`,
    })
    .where(
      and(
        ofShard(runId, shardIndex),
        eq(shards.dispatch, dispatch),
        or(
          eq(shards.state, "offered"),
          // The same attempt too: an answer lost on the way makes it claim again.
          and(eq(shards.state, "claimed"), ofTask(task), lte(shards.attempt, task.attempt)),
        ),
      ),
    )
  return affectedRows === 0 ? undefined : { runId, shardIndex, dispatch, epoch }
}

/**
 * Locks the ledger row of a claim for the rest of the transaction. Throws StaleEpochError if the claim is not the
 * newest any more. Returns the row: it is done if this very claim's commit succeeded and its answer was lost.
 */
export async function lockClaim(tx: Database, claim: Claim): Promise<Shard> {
  const [shard] = await tx.select().from(shards).where(ofShard(claim.runId, claim.shardIndex)).for("update")
  if (!shard || shard.epoch !== claim.epoch || !["claimed", "done"].includes(shard.state)) {
    throw new StaleEpochError(
      `shard ${claim.shardIndex} of run ${claim.runId} is ${shard?.state ?? "gone"} at epoch ${shard?.epoch}, not ${claim.epoch}`,
    )
  }
  return shard
}

/** Marks a shard done with what was written for it; part of the transaction that wrote it. */
export async function finishShard(tx: Database, claim: Claim, totals: RowTotals): Promise<void> {
  requireRow(
    await tx
      .update(shards)
      .set({
        state: "done",
        rowCount: totals.rows,
        purchases: totals.purchases,
        amountCents: String(totals.amountCents),
        checksum: String(totals.checksum),
        error: null,
        committedAt: sql`NOW(3)`,
      })
      .where(underClaim(claim)),
    `mark shard ${claim.shardIndex} of run ${claim.runId} done`,
  )
}

// TEXT holds 64 KiB; what matters of an error is at its beginning.
const ERROR_CHARACTERS_MAX = 2_000

/** Marks a shard failed. Throws StaleEpochError if the claim is not the newest any more. */
export async function failShard(db: Database, claim: Claim, error: string): Promise<void> {
  const failed = await db
    .update(shards)
    .set({ state: "failed", error: error.slice(0, ERROR_CHARACTERS_MAX), committedAt: sql`NOW(3)` })
    .where(underClaim(claim))
  if (matchedRows(failed) > 0) return
  const shard = await findShard(db, claim.runId, claim.shardIndex)
  // The answer to an earlier try was lost.
  if (shard?.epoch === claim.epoch && shard.state === "failed") return
  throw new StaleEpochError(`shard ${claim.shardIndex} of run ${claim.runId} has a newer claim than ${claim.epoch}`)
}

// More than any dispatch has.
const SHARDS_UNKNOWN = 2 ** 31

/**
 * Takes a report: marks the shard as reported and counts it, once, in one atomic statement. Returns how many shards of
 * its dispatch have not reported yet, or undefined if this one has been counted before, or the report is of an old
 * epoch or dispatch.
 */
export async function takeReport(
  db: Database,
  report: { runId: string; index: number; dispatch: number; epoch: number },
): Promise<number | undefined> {
  const { runId, index, dispatch, epoch } = report
  // LAST_INSERT_ID(expression) brings a number of the row back with the answer. It sees the count as it was before.
  // While the run is being planned, there is always one more to come.
  const [{ affectedRows, insertId: leftBefore }] = (await db.execute(sql`
    UPDATE ${shards} s JOIN ${dispatches} d ON d.run_id = s.run_id AND d.dispatch = s.dispatch
    SET s.reported_at = NOW(3), d.reported = d.reported + 1 + 0 * LAST_INSERT_ID(COALESCE(d.shard_count - d.reported, ${SHARDS_UNKNOWN}))
    WHERE s.run_id = ${runId} AND s.shard_index = ${index} AND s.dispatch = ${dispatch} AND s.epoch = ${epoch}
      AND s.state IN ('done', 'failed') AND s.reported_at IS NULL`)) as [ResultSetHeader, unknown]
  return affectedRows === 0 ? undefined : leftBefore - 1
}

/** Offers a shard again, in a later dispatch. The epoch grows: whoever still works on it is fenced. */
export async function reofferShard(
  tx: Database,
  runId: string,
  index: number,
  dispatch: number,
  position: number,
): Promise<void> {
  requireRow(
    await tx
      .update(shards)
      .set({
        dispatch,
        position,
        state: "offered",
        epoch: sql`epoch + 1`,
        crashes: 0,
        execution: null,
        taskIndex: null,
        attempt: null,
        claimedAt: null,
        committedAt: null,
        reportedAt: null,
        error: null,
      })
      .where(ofShard(runId, index)),
    `offer shard ${index} of run ${runId} again`,
  )
}

/** Fences every shard of a run that is not finished: it becomes missing, and no claim on it can write. */
export async function closeShards(tx: Database, runId: string): Promise<void> {
  await tx
    .update(shards)
    .set({ state: "missing", epoch: sql`epoch + 1` })
    .where(and(eq(shards.runId, runId), inArray(shards.state, ["offered", "claimed"])))
}
