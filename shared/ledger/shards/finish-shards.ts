import { or, type SQL, sql } from "drizzle-orm"
import type { ResultSetHeader } from "mysql2"
import { shards } from "../../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import type { CheckedTotals } from "../../day/totals.ts"
import { PermanentError } from "../../errors.ts"
import { underClaim } from "./claim-shards.ts"
import { findShard, type Shard } from "./find-shards.ts"
import { totalsColumns } from "./totals-columns.ts"

/**
 * Marks shards of one run done with what was written for each; part of the transaction that wrote it. Returns their rows as
 * they are then, `locked` being what they were.
 */
export async function finishShards(tx: Database, locked: Shard[], written: CheckedTotals[]): Promise<Shard[]> {
  const done = locked.map((shard, at) => ({ ...shard, ...doneColumns(written[at]) }))
  const each = (column: keyof ReturnType<typeof doneColumns>): SQL => {
    const values = done.map((shard) => sql`WHEN ${shard.shardIndex} THEN ${shard[column]}`)
    return sql`CASE ${shards.shardIndex} ${sql.join(values, sql` `)} END`
  }
  const result = await tx
    .update(shards)
    .set({
      state: "done",
      rowCount: each("rowCount"),
      purchases: each("purchases"),
      amountCents: each("amountCents"),
      parts: each("parts"),
      checksum: each("checksum"),
      error: null,
      // LAST_INSERT_ID(expression) brings the time back with the answer, in milliseconds.
      committedAt: sql`FROM_UNIXTIME(LAST_INSERT_ID(ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000)) / 1000)`,
    })
    .where(or(...locked.map(underClaim)))
  if (matchedRows(result) !== locked.length) throw notOurs(locked)
  const [{ insertId }] = result as [ResultSetHeader, unknown]
  const committedAt = insertId ? new Date(insertId) : await readCommittedAt(tx, locked[0])
  return done.map((shard) => ({ ...shard, committedAt }))
}

function doneColumns(written: CheckedTotals | undefined) {
  if (!written) throw new Error("there are fewer totals than shards")
  return {
    state: "done" as const,
    ...totalsColumns(written.totals),
    checksum: String(written.checksum),
    error: null,
  }
}

function notOurs(locked: Shard[]): Error {
  const which = locked.map(({ shardIndex }) => shardIndex).join(", ")
  return new PermanentError(`cannot mark shards ${which} of run ${locked[0]?.runId} done: not all are claimed by us`)
}

/** Where somebody has put a trigger on the table, neither server hands LAST_INSERT_ID on. */
async function readCommittedAt(tx: Database, shard: Shard | undefined): Promise<Date | null> {
  return (shard && (await findShard(tx, shard.runId, shard.shardIndex)))?.committedAt ?? null
}
