import { sql } from "drizzle-orm"
import { shards } from "../../schemas/database/ledger.ts"
import { type Database, requireRow } from "../database/open-database.ts"
import type { RowTotals } from "../day/revenue-rows.ts"
import { formatParts, partFields } from "../day/totals.ts"
import { type Claim, underClaim } from "./claim-shard.ts"

/** Marks a shard done with what was written for it; part of the transaction that wrote it. */
export async function finishShard(tx: Database, claim: Claim, totals: RowTotals): Promise<void> {
  requireRow(
    await tx
      .update(shards)
      .set({
        state: "done",
        rowCount: totals.rows,
        purchases: totals.purchases,
        amountCents: totals.amountCents === undefined ? null : String(totals.amountCents),
        parts: formatParts(totals.parts.map(partFields)),
        checksum: String(totals.checksum),
        error: null,
        committedAt: sql`NOW(3)`,
      })
      .where(underClaim(claim)),
    `mark shard ${claim.shardIndex} of run ${claim.runId} done`,
  )
}
