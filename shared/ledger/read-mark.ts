import { inArray, sql } from "drizzle-orm"
import { backfillDays, backfills, controls, days, duties, runs, shards } from "../../schemas/database/ledger.ts"
import { publishedDays } from "../../schemas/database/revenue.ts"
import { allRows, type Database } from "../database/open-database.ts"
import { openStates } from "./backfills/backfills.ts"
import { needsAttention } from "./duties/duties.ts"
import { inStates, unfinishedStates } from "./runs/run-transitions.ts"

/**
 * A text that is another one whenever anything that the page shows has changed: one statement, of which the runs are read
 * from an index, shards only of runs that have no verdict, and nothing else has more rows than there are days.
 */
export async function readMark(db: Database): Promise<string> {
  const isUnfinished = inStates(unfinishedStates)
  const one = (expression: ReturnType<typeof sql>, from: ReturnType<typeof sql>) =>
    sql`(SELECT ${expression} FROM ${from})`
  const [row] = allRows<Record<string, unknown>>(
    await db.execute(
      sql`SELECT ${sql.join(
        [
          one(sql`CONCAT_WS(' ', COUNT(*), SUM(CRC32(CONCAT_WS(' ', ${runs.runId}, ${runs.state}))))`, sql`${runs}`),
          one(
            sql`SUM(CRC32(CONCAT_WS(' ', ${runs.runId}, ${runs.dispatch}, ${runs.shardCount}, ${runs.throttled}, ${runs.pausedAt})))`,
            sql`${runs} WHERE ${isUnfinished}`,
          ),
          one(
            sql`SUM(CRC32(CONCAT_WS(' ', ${shards.runId}, ${shards.shardIndex}, ${shards.state}, ${shards.epoch})))`,
            sql`${shards} WHERE ${shards.runId} IN (SELECT ${runs.runId} FROM ${runs} WHERE ${isUnfinished})`,
          ),
          one(
            sql`SUM(CRC32(CONCAT_WS(' ', ${publishedDays.revenueDate}, ${publishedDays.version}, ${publishedDays.state}, ${publishedDays.auditedAt})))`,
            sql`${publishedDays}`,
          ),
          one(sql`SUM(CRC32(CONCAT_WS(' ', ${days.revenueDate}, ${days.lateAt}, ${days.arrivedAt})))`, sql`${days}`),
          one(
            sql`SUM(CRC32(CONCAT_WS(' ', ${controls.name}, ${controls.paused}, ${controls.untilAt}, ${controls.changedAt})))`,
            sql`${controls}`,
          ),
          one(
            sql`SUM(CRC32(CONCAT_WS(' ', ${duties.name}, ${duties.failures}, ${duties.lastError})))`,
            sql`${duties} WHERE ${needsAttention}`,
          ),
          one(sql`SUM(CRC32(CONCAT_WS(' ', ${backfills.backfillId}, ${backfills.state})))`, sql`${backfills}`),
          one(
            sql`SUM(CRC32(CONCAT_WS(' ', ${backfillDays.revenueDate}, ${backfillDays.state})))`,
            sql`${backfillDays} WHERE ${backfillDays.backfillId} IN (SELECT ${backfills.backfillId} FROM ${backfills} WHERE ${inArray(backfills.state, openStates)})`,
          ),
        ],
        sql`, `,
      )}`,
    ),
  )
  return Object.values(row ?? {}).join("/")
}
