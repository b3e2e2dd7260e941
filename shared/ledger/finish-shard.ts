import { sql } from "drizzle-orm"
import type { ResultSetHeader } from "mysql2"
import { shards } from "../../schemas/database/ledger.ts"
import { type Database, requireRow } from "../database/open-database.ts"
import type { RowTotals } from "../day/revenue-rows.ts"
import { formatParts, partFields } from "../day/totals.ts"
import { type Claim, underClaim } from "./claim-shard.ts"
import { findShard, type Shard } from "./find-shards.ts"

/**
 * Marks a shard done with what was written for it; part of the transaction that wrote it. Returns its row as it is then,
 * `locked` being what it was.
 */
export async function finishShard(tx: Database, locked: Shard, totals: RowTotals): Promise<Shard> {
  const done = {
    state: "done" as const,
    rowCount: totals.rows,
    purchases: totals.purchases,
    amountCents: totals.amountCents === undefined ? null : String(totals.amountCents),
    parts: formatParts(totals.parts.map(partFields)),
    checksum: String(totals.checksum),
    error: null,
  }
  // LAST_INSERT_ID(expression) brings the time back with the answer, in milliseconds.
  const committedAt = sql`FROM_UNIXTIME(LAST_INSERT_ID(ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000)) / 1000)`
  const result = await tx
    .update(shards)
    .set({ ...done, committedAt })
    .where(underClaim(locked))
  requireRow(result, `mark shard ${locked.shardIndex} of run ${locked.runId} done`)
  const [{ insertId }] = result as [ResultSetHeader, unknown]
  return { ...locked, ...done, committedAt: insertId ? new Date(insertId) : await readCommittedAt(tx, locked) }
}

/** Where somebody has put a trigger on the table, neither server hands LAST_INSERT_ID on. */
async function readCommittedAt(tx: Database, { runId, shardIndex }: Claim): Promise<Date | null> {
  return (await findShard(tx, runId, shardIndex))?.committedAt ?? null
}
