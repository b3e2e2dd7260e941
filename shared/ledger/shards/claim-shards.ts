import { and, asc, eq, inArray, lte, or, sql } from "drizzle-orm"
import type { ResultSetHeader } from "mysql2"
import { shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { StaleEpochError } from "../../errors.ts"
import { ofShard, ofTask, type Shard, type TaskAttempt } from "./find-shards.ts"

/** A shard under an epoch: what a write after a claim must match, the fencing predicate. */
export type Claim = Pick<Shard, "runId" | "shardIndex" | "dispatch" | "epoch">

export const underClaim = (claim: Claim) =>
  and(ofShard(claim.runId, claim.shardIndex), eq(shards.epoch, claim.epoch), eq(shards.state, "claimed"))

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
  const [claim] = await claimShards(db, { runId, dispatch }, [shardIndex], task)
  return claim
}

/** Claims those of several shards that can be claimed, each as if it were alone. */
export async function claimShards(
  db: Database,
  { runId, dispatch }: Pick<Shard, "runId" | "dispatch">,
  indexes: number[],
  task: TaskAttempt,
): Promise<Claim[]> {
  // Written out, because the order matters: MySQL assigns from left to right, so that in the first line `attempt` still is
  // the old one, and null if nobody has the shard. https://dev.mysql.com/doc/refman/8.4/en/update.html
  const mayTake = and(
    ofShards(runId, indexes),
    eq(shards.dispatch, dispatch),
    or(
      eq(shards.state, "offered"),
      // The same attempt too: an answer lost on the way makes it claim again.
      and(eq(shards.state, "claimed"), ofTask(task), lte(shards.attempt, task.attempt)),
    ),
  )
  const [{ affectedRows, insertId }] = (await db.execute(sql`
    UPDATE ${shards}
    SET crashes = IF(attempt < ${task.attempt}, crashes + 1, crashes), epoch = LAST_INSERT_ID(epoch + 1),
      state = 'claimed', execution = ${task.execution}, task_index = ${task.taskIndex}, attempt = ${task.attempt},
      claimed_at = NOW(3)
    WHERE ${mayTake}`)) as [ResultSetHeader, unknown]
  if (affectedRows === 0) return []
  const [shardIndex, ...others] = indexes
  // Where somebody has put a trigger on the table, neither server hands LAST_INSERT_ID on.
  if (shardIndex === undefined || others.length > 0 || !insertId) return readClaims(db, runId, indexes, task)
  return [{ runId, shardIndex, dispatch, epoch: insertId }]
}

/** Without those that a later attempt has taken over meanwhile. */
async function readClaims(db: Database, runId: string, indexes: number[], task: TaskAttempt): Promise<Claim[]> {
  const areMine = and(
    ofShards(runId, indexes),
    eq(shards.state, "claimed"),
    ofTask(task),
    eq(shards.attempt, task.attempt),
  )
  const { shardIndex, dispatch, epoch } = shards
  const mine = await db.select({ shardIndex, dispatch, epoch }).from(shards).where(areMine).orderBy(asc(shardIndex))
  return mine.map((claim) => ({ runId, ...claim }))
}

const ofShards = (runId: string, indexes: number[]) => and(eq(shards.runId, runId), inArray(shards.shardIndex, indexes))

/**
 * Locks the ledger rows of claims of one run for the rest of the transaction. Throws StaleEpochError if one is not the
 * newest any more. Returns the rows, in the order of the claims: one is done if this very claim's commit succeeded and its
 * answer was lost.
 */
export async function lockClaims(tx: Database, claims: Claim[]): Promise<Shard[]> {
  const indexes = claims.map(({ shardIndex }) => shardIndex)
  // In one order for all, so that nobody waits for the other.
  const query = tx
    .select()
    .from(shards)
    .where(ofShards(claims[0]?.runId ?? "", indexes))
  const locked = new Map(
    (await query.orderBy(asc(shards.shardIndex)).for("update")).map((row) => [row.shardIndex, row]),
  )
  return claims.map((claim) => {
    const shard = locked.get(claim.shardIndex)
    if (shard?.epoch === claim.epoch && ["claimed", "done"].includes(shard.state)) return shard
    throw new StaleEpochError(
      `shard ${claim.shardIndex} of run ${claim.runId} is ${shard?.state ?? "gone"} at epoch ${shard?.epoch}, not ${claim.epoch}`,
    )
  })
}
