import { and, eq, type SQL, sql } from "drizzle-orm"
import { shards } from "../../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import { PermanentError } from "../../errors.ts"

// A statement of some 10 kB. MariaDB turns a list of 1,000 into a join with a temporary table
// (in_predicate_conversion_threshold). One by one, 100,000 shards took 42 s on MariaDB and 54 s on MySQL; by so many, 3 s on
// both, and by 5,000 no less.
const SHARDS_PER_UPDATE = 900

/**
 * Offers shards again, in a later dispatch, at places in the order of their indexes. The epoch of each grows: whoever still
 * works on it is fenced. Part of a transaction. Throws if the ledger lacks one of them, or a shard is named twice.
 */
export async function reofferShards(tx: Database, runId: string, indexes: number[], dispatch: number): Promise<void> {
  const inOrder = indexes.toSorted((a, b) => a - b)
  for (let start = 0; start < inOrder.length; start += SHARDS_PER_UPDATE) {
    const batch = inOrder.slice(start, start + SHARDS_PER_UPDATE)
    const list = sql.raw(batch.map(Number).join())
    const updated = await tx
      .update(shards)
      .set({
        dispatch,
        position: placeIn(list, start),
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
      .where(and(eq(shards.runId, runId), sql`${shards.shardIndex} IN (${list})`))
    if (matchedRows(updated) !== batch.length) {
      const lacking = batch.length - matchedRows(updated)
      throw new PermanentError(
        `run ${runId} cannot be rerun: the ledger lacks ${lacking} of its shards ${batch[0]} to ${batch.at(-1)}. Start the date again.`,
      )
    }
  }
}

/** The place of a shard in an ascending list, which INTERVAL finds by halving it; the first is at `start`. */
const placeIn = (list: SQL, start: number): SQL =>
  sql`INTERVAL(${shards.shardIndex}, ${list}) + ${sql.raw(String(start - 1))}`
