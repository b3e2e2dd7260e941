import { findShard, listLeftShards } from "../../shared/ledger/shards/find-shards.ts"
import { type ClaimContext, claimAgain, queryLedger, type Work } from "./claim-work.ts"

/** Takes up what earlier attempts of this task left: shards claimed and not finished, or finished and not reported. */
export async function* claimLeft(context: ClaimContext): AsyncGenerator<Work> {
  const { db, runId, dispatch, task, signal } = context
  for (const left of await queryLedger(context, "list shards left", () => listLeftShards(db, runId, dispatch, task))) {
    if (signal.aborted) return
    if (left.state !== "claimed") {
      yield { kind: "report", claim: left }
      continue
    }
    const claim = await claimAgain(context, left)
    if (!claim) continue
    const shard = await queryLedger(context, "read a shard", () => findShard(db, runId, left.shardIndex))
    yield { kind: "compute", claims: [claim], crashes: shard?.crashes ?? 0 }
  }
}
