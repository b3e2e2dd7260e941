import { and, eq, inArray, sql } from "drizzle-orm"
import { shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import type { Run } from "./find-runs.ts"
import { moveRun } from "./run-transitions.ts"

/**
 * Takes a run whose dispatch is over from running (or from where it never got out of) to verifying, and fences
 * every shard that nobody finished. With an error it is one that cannot be planned or started. From here on nothing is
 * written under the run's version until a rerun.
 */
export async function closeRun(
  db: Database,
  run: Pick<Run, "runId" | "dispatch">,
  dispatchError: string | null = null,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    const isClosed = await moveRun(tx, run, "close", { verifyingAt: sql`NOW(3)`, dispatchError })
    if (isClosed) await closeShards(tx, run.runId)
  })
}

/** Fences every shard of a run that is not finished: it becomes missing, and no claim on it can write. */
export async function closeShards(tx: Database, runId: string): Promise<void> {
  await tx
    .update(shards)
    .set({ state: "missing", epoch: sql`epoch + 1` })
    .where(and(eq(shards.runId, runId), inArray(shards.state, ["offered", "claimed"])))
}
