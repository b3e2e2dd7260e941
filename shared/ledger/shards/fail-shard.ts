import { sql } from "drizzle-orm"
import { shards } from "../../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import { StaleEpochError } from "../../errors.ts"
import { type Claim, underClaim } from "./claim-shards.ts"
import { findShard } from "./find-shards.ts"

// TEXT holds 64 KiB; what matters of an error is at its beginning.
const ERROR_CHARACTERS_MAX = 2_000

/** Marks a shard failed. Throws StaleEpochError if the claim is not the newest any more. */
export async function failShard(db: Database, claim: Claim, error: string): Promise<void> {
  const failed = await db
    .update(shards)
    .set({ state: "failed", error: error.slice(0, ERROR_CHARACTERS_MAX), committedAt: sql`NOW(3)` })
    .where(underClaim(claim))
  if (matchedRows(failed) > 0) return
  const shard = await findShard(db, claim.runId, claim.shardIndex)
  // The answer to an earlier try was lost.
  if (shard?.epoch === claim.epoch && shard.state === "failed") return
  throw new StaleEpochError(`shard ${claim.shardIndex} of run ${claim.runId} has a newer claim than ${claim.epoch}`)
}
