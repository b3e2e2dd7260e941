import { and, asc, eq, gte, inArray, isNull, or } from "drizzle-orm"
import { shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

export type Shard = typeof shards.$inferSelect

/** A Cloud Run task at one of its attempts. */
export interface TaskAttempt {
  execution: string
  taskIndex: number
  attempt: number
}

export const ofShard = (runId: string, index: number) => and(eq(shards.runId, runId), eq(shards.shardIndex, index))

export const ofTask = (task: TaskAttempt) =>
  and(eq(shards.execution, task.execution), eq(shards.taskIndex, task.taskIndex))

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

/** Shards that nobody has finished. */
export async function listUnfinishedShards(db: Database, runId: string): Promise<Shard[]> {
  return db
    .select()
    .from(shards)
    .where(and(eq(shards.runId, runId), inArray(shards.state, ["offered", "claimed"])))
    .orderBy(asc(shards.shardIndex))
}

/** The next shards of a run from an index on, in their order. */
export async function listShardsFrom(db: Database, runId: string, index: number, limit: number): Promise<Shard[]> {
  return db
    .select()
    .from(shards)
    .where(and(eq(shards.runId, runId), gte(shards.shardIndex, index)))
    .orderBy(asc(shards.shardIndex))
    .limit(limit)
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
