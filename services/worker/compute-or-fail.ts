import { describeError, PermanentError, StaleEpochError } from "../../shared/errors.ts"
import type { Claim } from "../../shared/ledger/shards/claim-shards.ts"
import { failShard } from "../../shared/ledger/shards/fail-shard.ts"
import type { Shard } from "../../shared/ledger/shards/find-shards.ts"
import { shardRange } from "../../shared/ledger/shards/shard-range.ts"
import { formatRange } from "../../shared/range.ts"
import { retryTransient } from "../../shared/retry.ts"
import { inTraceSpan } from "../../shared/telemetry/tracing.ts"
import { isTransient } from "../../shared/transient.ts"
import { computeShard } from "./compute-shards.ts"
import { findUnfitUser } from "./find-unfit-user.ts"
import { readClaimed } from "./read-claimed.ts"
import type { WorkContext } from "./work-context.ts"

/**
 * Computes a claimed shard, or marks it failed with the reason, and returns it as it is then. `crashes` is how often an
 * attempt has died with it. Throws what a later attempt may get past.
 */
export async function computeOrFail(
  context: WorkContext,
  claim: Claim,
  crashes: number,
  meanwhile?: () => void,
): Promise<Shard> {
  const { db, shopPool, run, task, signal } = context
  if (crashes >= context.crashesMax) {
    const error = `its task died ${crashes} times while computing it: see the logs of task ${task.taskIndex} of execution ${task.execution}`
    return failClaim(context, claim, new PermanentError(error))
  }
  const compute = () => computeShard(db, run, claim, shopPool, { meanwhile })
  try {
    return await inTraceSpan("compute shard", {}, () =>
      retryTransient(`compute shard ${claim.shardIndex} of run ${run.runId}`, compute, context),
    )
  } catch (error) {
    if (error instanceof StaleEpochError || signal.aborted || isTransient(error)) throw error
    return failClaim(context, claim, error)
  }
}

async function failClaim(context: WorkContext, claim: Claim, cause: unknown): Promise<Shard> {
  const { db, run, shopDb } = context
  const range = shardRange(run.shop.layout.userType, await readClaimed(context, claim))
  const unfit = await retryTransient(
    "find the user whose sum does not fit",
    () => findUnfitUser(shopDb, run, range, cause),
    context,
  )
  const error = `${formatRange(range)}: ${unfit ?? describeError(cause)}`
  context.log.error({ error }, "a shard has failed")
  await retryTransient(`mark shard ${claim.shardIndex} failed`, () => failShard(db, claim, error), context)
  return readClaimed(context, claim)
}
