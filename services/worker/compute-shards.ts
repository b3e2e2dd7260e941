import type { Pool } from "mysql2"
import type { Database } from "../../shared/database/open-database.ts"
import { inTransaction } from "../../shared/database/transaction.ts"
import { deleteRange, insertTotals, sumRows } from "../../shared/day/revenue-rows.ts"
import type { ShopRun } from "../../shared/ledger/runs/find-runs.ts"
import { type Claim, lockClaims } from "../../shared/ledger/shards/claim-shards.ts"
import type { Shard } from "../../shared/ledger/shards/find-shards.ts"
import { finishShards } from "../../shared/ledger/shards/finish-shards.ts"
import { shardRange } from "../../shared/ledger/shards/shard-range.ts"
import { joinRanges } from "../../shared/range.ts"
import { type CopyOptions, copyRows } from "./copy-rows.ts"

interface ComputeOptions extends CopyOptions {
  /** Called when the database is at work. */
  meanwhile?: (() => void) | undefined
}

/**
 * Computes claimed shards in one transaction: whatever happens, either all of them are committed under these claims' epochs
 * or nothing is. Returns them as they are done. Throws StaleEpochError, having written nothing, if a claim is not the
 * newest. Repeating it after a commit whose answer was lost changes nothing. Where the shop is on another server, `shopPool`
 * reads it there.
 */
export async function computeShards(
  db: Database,
  run: ShopRun,
  claims: Claim[],
  shopPool?: Pool,
  { meanwhile, ...options }: ComputeOptions = {},
): Promise<Shard[]> {
  return inTransaction(db, async (tx) => {
    const locked = await lockClaims(tx, claims)
    const claimed = locked.filter(({ state }) => state === "claimed")
    if (claimed.length === 0) return locked
    const rangeOf = (shard: Shard) => shardRange(run.shop.layout.userType, shard)
    const ranges = claimed.map(rangeOf)
    // Under a shard's first claim nothing was ever committed that would have to go.
    const again = claimed.filter(({ epoch }) => epoch > 1)
    for (const shard of again) await deleteRange(tx, run, rangeOf(shard))
    const insert = async () => {
      for (const range of joinRanges(ranges)) {
        await (shopPool ? copyRows(tx, shopPool, run, range, options) : insertTotals(tx, run, run, range))
      }
    }
    const inserting = insert()
    // Its first statement is sent by then.
    if (meanwhile) setImmediate(meanwhile)
    await inserting
    const finished = await finishShards(tx, claimed, await sumRows(tx, run, ranges, 1))
    const done = new Map(finished.map((shard) => [shard.shardIndex, shard]))
    return locked.map((shard) => done.get(shard.shardIndex) ?? shard)
  })
}

/** Computes one of them. */
export async function computeShard(
  db: Database,
  run: ShopRun,
  claim: Claim,
  shopPool?: Pool,
  options?: ComputeOptions,
): Promise<Shard> {
  const [shard] = await computeShards(db, run, [claim], shopPool, options)
  if (!shard) throw new Error(`shard ${claim.shardIndex} of run ${claim.runId} has no row`)
  return shard
}
