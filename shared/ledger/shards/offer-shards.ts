import { eq, max, sql } from "drizzle-orm"
import { dispatches, runs, shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import type { Range } from "../../range.ts"
import type { Run } from "../runs/find-runs.ts"
import { rangeColumns } from "./shard-range.ts"

// A multi-row insert stays far below max_allowed_packet (16 MB by default).
const ROWS_PER_INSERT = 1_000

/**
 * Offers the next shards of a run that is being planned, as its dispatch 0. With `shardCount` they are the last but
 * one: how many shards the run has is fixed from here on, and `openRun` offers the last. Returns false, having changed
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
  return inTransaction(db, async (tx) => {
    const [current] = await tx.select().from(runs).where(eq(runs.runId, runId)).for("update")
    const [known] = await tx
      .select({ index: max(shards.shardIndex) })
      .from(shards)
      .where(eq(shards.runId, runId))
    if (current?.state !== "planning" || (known?.index ?? -1) !== firstIndex - 1) return false
    // Fixed, by a planner that then died: nothing but that same end may follow.
    if (current.shardCount !== null) return ranges.length === 0 && current.shardCount === shardCount
    if (firstIndex === 0) {
      const { requestId, askedBy, via, note } = run
      const opened = { runId, dispatch: 0, requestId, askedBy, via, note, openedAt: sql`NOW(3)` }
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

export function offeredShard(runId: string, index: number, range: Range) {
  return {
    runId,
    shardIndex: index,
    ...rangeColumns(range),
    dispatch: 0,
    position: index,
    state: "offered" as const,
  }
}
