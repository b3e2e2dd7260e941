import { sql } from "drizzle-orm"
import type { ResultSetHeader } from "mysql2"
import { dispatches, shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

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
