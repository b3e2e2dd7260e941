import { and, eq, max, sql } from "drizzle-orm"
import { dispatches, runs, shards } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import type { Range } from "../range.ts"
import type { Run } from "./runs.ts"

// A multi-row insert stays far below max_allowed_packet (16 MB by default).
const ROWS_PER_INSERT = 1_000

/**
 * Offers the next shards of a run that is being planned, as its dispatch 0. With `shardCount` they are the last but
 * one: how many shards the run has is settled from here on, and `openRun` offers the last. Returns false, having changed
 * nothing, if the ledger is not as the caller knows it: another delivery of the request plans the run too, or the run
 * was closed.
 */
export async function offerShards(
  db: Database,
  run: Run,
  firstIndex: number,
  ranges: Range[],
  shardCount?: number,
): Promise<boolean> {
  const { runId } = run
  return db.transaction(async (tx) => {
    const [current] = await tx.select().from(runs).where(eq(runs.runId, runId)).for("update")
    const [known] = await tx
      .select({ index: max(shards.shardIndex) })
      .from(shards)
      .where(eq(shards.runId, runId))
    if (current?.state !== "planning" || (known?.index ?? -1) !== firstIndex - 1) return false
    // Settled, by a planner that then died: nothing but that same end may follow.
    if (current.shardCount !== null) return ranges.length === 0 && current.shardCount === shardCount
    if (firstIndex === 0) {
      const opened = { runId, dispatch: 0, requestId: run.requestId, openedAt: sql`NOW(3)` }
      await tx.insert(dispatches).values(opened).onDuplicateKeyUpdate({ set: { runId } })
    }
    for (let start = 0; start < ranges.length; start += ROWS_PER_INSERT) {
      const rows = ranges
        .slice(start, start + ROWS_PER_INSERT)
        .map((range, at) => offeredShard(runId, firstIndex + start + at, range))
      await tx.insert(shards).values(rows)
    }
    if (shardCount !== undefined) await tx.update(runs).set({ shardCount }).where(eq(runs.runId, runId))
    return true
  })
}

/**
 * Takes a run whose plan is whole from planning to running: offers its last shard, and says in the same transaction how
 * many the dispatch has. So the report that completes it always comes after. Returns false if the run is not being
 * planned any more.
 */
export async function openRun(db: Database, run: Run, shardCount: number, last: Range): Promise<boolean> {
  const { runId } = run
  return db.transaction(async (tx) => {
    const opened = await tx
      .update(runs)
      .set({ state: "running", plannedAt: sql`NOW(3)` })
      .where(and(eq(runs.runId, runId), eq(runs.state, "planning"), eq(runs.shardCount, shardCount)))
    if (matchedRows(opened) === 0) return false
    await tx.insert(shards).values(offeredShard(runId, shardCount - 1, last))
    await tx
      .update(dispatches)
      .set({ shardCount })
      .where(and(eq(dispatches.runId, runId), eq(dispatches.dispatch, 0)))
    return true
  })
}

/**
 * Takes back a run that was begun and cannot be planned. Returns false, having changed nothing, if shards of it have
 * been offered: tasks may be at work.
 */
export async function abandonRun(db: Database, runId: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    const [run] = await tx.select().from(runs).where(eq(runs.runId, runId)).for("update")
    if (run?.state !== "planning") return true
    const offered = await tx.select().from(dispatches).where(eq(dispatches.runId, runId))
    if (offered.length > 0) return false
    await tx.delete(runs).where(eq(runs.runId, runId))
    return true
  })
}

function offeredShard(runId: string, index: number, range: Range) {
  return {
    runId,
    shardIndex: index,
    rangeFrom: range.from ?? null,
    rangeTo: range.to ?? null,
    dispatch: 0,
    position: index,
    state: "offered" as const,
  }
}
