import { sql } from "drizzle-orm"
import { shards } from "../../schemas/database/ledger.ts"
import { type Database, requireRow } from "../database/open-database.ts"
import { ofShard } from "./find-shards.ts"

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
