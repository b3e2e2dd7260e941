import { StaleEpochError } from "../../shared/errors.ts"
import type { Claim } from "../../shared/ledger/shards/claim-shards.ts"
import { findShard, type Shard } from "../../shared/ledger/shards/find-shards.ts"
import { retryTransient } from "../../shared/retry.ts"
import type { WorkContext } from "./work-context.ts"

/** Reads a shard as it is now. Throws StaleEpochError if it has a newer claim. */
export async function readClaimed(context: WorkContext, { runId, shardIndex, epoch }: Claim): Promise<Shard> {
  const read = () => findShard(context.db, runId, shardIndex)
  const shard = await retryTransient(`read shard ${shardIndex}`, read, context)
  if (shard?.epoch === epoch) return shard
  throw new StaleEpochError(`shard ${shardIndex} has a newer claim than ${epoch}`)
}
