import { and, eq, lte, or, sql } from "drizzle-orm"
import type { ResultSetHeader } from "mysql2"
import { shards } from "../../schemas/database/ledger.ts"
import type { Database } from "../database/open-database.ts"
import { StaleEpochError } from "../errors.ts"
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
  // Written out, because the order matters: MySQL assigns from left to right, so that in the first line `attempt` still is
  // the old one, and null if nobody has the shard. https://dev.mysql.com/doc/refman/8.4/en/update.html
  const mayTake = and(
    ofShard(runId, shardIndex),
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
  if (affectedRows === 0) return undefined
  // Where somebody has put a trigger on the table, neither server hands LAST_INSERT_ID on.
  const epoch = insertId || (await readEpoch(db, runId, shardIndex, task))
  return epoch === undefined ? undefined : { runId, shardIndex, dispatch, epoch }
}

/** Undefined if a later attempt has taken the shard over meanwhile. */
async function readEpoch(
  db: Database,
  runId: string,
  shardIndex: number,
  task: TaskAttempt,
): Promise<number | undefined> {
  const isMine = and(
    ofShard(runId, shardIndex),
    eq(shards.state, "claimed"),
    ofTask(task),
    eq(shards.attempt, task.attempt),
  )
  const [shard] = await db.select({ epoch: shards.epoch }).from(shards).where(isMine)
  return shard?.epoch
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
