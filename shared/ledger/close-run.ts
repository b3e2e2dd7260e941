import { and, eq, inArray, sql } from "drizzle-orm"
import { runs, shards } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import { inTransaction } from "../database/transaction.ts"
import type { Run } from "./find-runs.ts"

/**
 * Takes a run whose dispatch is over from running (or from where it never got out of) to verifying, and fences
 * every shard that nobody finished. With an error it is one that cannot be planned or started. From here on nothing is written under the run's version until a rerun.
 */
export async function closeRun(
  db: Database,
  run: Pick<Run, "runId" | "dispatch">,
  dispatchError: string | null = null,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    const closed = await tx
      .update(runs)
      .set({ state: "verifying", verifyingAt: sql`NOW(3)`, dispatchError })
      .where(
        and(
          eq(runs.runId, run.runId),
          eq(runs.dispatch, run.dispatch),
          inArray(runs.state, ["waiting", "planning", "running"]),
        ),
      )
    if (matchedRows(closed) > 0) await closeShards(tx, run.runId)
  })
}

/** Fences every shard of a run that is not finished: it becomes missing, and no claim on it can write. */
export async function closeShards(tx: Database, runId: string): Promise<void> {
  await tx
    .update(shards)
    .set({ state: "missing", epoch: sql`epoch + 1` })
    .where(and(eq(shards.runId, runId), inArray(shards.state, ["offered", "claimed"])))
}
