import type { Pool } from "mysql2"
import type { Database } from "../../shared/database/open-database.ts"
import { deleteRange, insertTotals, sumRows } from "../../shared/day/revenue-rows.ts"
import { type Claim, lockClaim } from "../../shared/ledger/claim-shard.ts"
import type { Run } from "../../shared/ledger/find-runs.ts"
import type { Shard } from "../../shared/ledger/find-shards.ts"
import { finishShard } from "../../shared/ledger/finish-shard.ts"
import { shardRange } from "../../shared/ledger/shard-range.ts"
import { type CopyOptions, copyRows } from "./copy-rows.ts"

interface ComputeOptions extends CopyOptions {
  /** Called when the database is at work. */
  meanwhile?: (() => void) | undefined
}

/**
 * Computes a claimed shard in one transaction: whatever happens, either all of it is committed under this claim's
 * epoch or nothing is. Returns the shard as it is done. Throws StaleEpochError, having written nothing, if the claim is not
 * the newest. Repeating it after a commit whose answer was lost changes nothing. Where the shop is on another server,
 * `source` reads it there.
 */
export async function computeShard(
  db: Database,
  run: Run,
  claim: Claim,
  source?: Pool,
  { meanwhile, ...options }: ComputeOptions = {},
): Promise<Shard> {
  return db.transaction(async (tx) => {
    const shard = await lockClaim(tx, claim)
    if (shard.state === "done") return shard
    const range = shardRange(shard)
    // Under a shard's first claim nothing was ever committed that would have to go.
    if (claim.epoch > 1) await deleteRange(tx, run, range)
    const inserting = source ? copyRows(tx, source, run, range, options) : insertTotals(tx, run, run, range)
    // Its first statement is sent by then.
    if (meanwhile) setImmediate(meanwhile)
    await inserting
    const [written] = await sumRows(tx, run, [range])
    if (!written) throw new Error(`no totals of shard ${claim.shardIndex} of run ${claim.runId}`)
    return finishShard(tx, shard, written)
  })
}
