import { describeError, StaleEpochError } from "../../shared/errors.ts"
import type { Claim } from "../../shared/ledger/shards/claim-shards.ts"
import type { Shard } from "../../shared/ledger/shards/find-shards.ts"
import { retryTransient } from "../../shared/retry.ts"
import { inTraceSpan, noteFields } from "../../shared/telemetry/tracing.ts"
import { isTransient } from "../../shared/transient.ts"
import type { ComputeWork, Work } from "./claim-work.ts"
import { computeOrFail } from "./compute-or-fail.ts"
import { computeShards } from "./compute-shards.ts"
import { readClaimed } from "./read-claimed.ts"
import { reportShards } from "./report-shards.ts"
import type { WorkContext } from "./work-context.ts"

/** Work under way. Both promises fail with what the task cannot go on after. */
interface WorkUnderWay {
  /** Its shards are done or failed in the ledger: the database is free for the next. */
  committed: Promise<void>
  /** Their manifests are written and their reports sent, too. */
  reported: Promise<void>
}

/**
 * Does the work of a task as it comes. While the database computes, what was computed before gets its manifests and reports:
 * never more than that is under way.
 */
export async function performWork(context: WorkContext, works: AsyncIterable<Work>): Promise<void> {
  let reported = Promise.resolve()
  for await (const work of works) {
    const next = startWork(context, work)
    await Promise.all([next.committed, reported])
    reported = next.reported
  }
  await reported
}

/**
 * Brings shards to their reports. A task that dies in between leaves shards that are not reported, and its next attempt
 * reports them.
 */
function startWork(context: WorkContext, work: Work): WorkUnderWay {
  const { promise, resolve } = Promise.withResolvers<void>()
  const reported = finishWork(context, work, resolve)
  // Whoever waits for it later finds its failure then.
  reported.catch(() => undefined)
  return { committed: Promise.race([promise, reported]), reported }
}

async function finishWork(context: WorkContext, work: Work, commit: () => void): Promise<void> {
  if (work.kind === "report") {
    await finishShard(context, work.claim, () => readClaimed(context, work.claim), commit)
    return
  }
  const startedAt = performance.now()
  const isComputed = () => {
    context.pace.note(work.claims.length, performance.now() - startedAt)
    commit()
  }
  const [claim, ...others] = work.claims
  if (claim && others.length === 0) {
    const compute = () => computeOrFail(context, claim, work.crashes, work.meanwhile)
    await finishShard(context, claim, compute, isComputed)
  } else await finishTogether(context, work, isComputed)
}

/** One shard; a claim that somebody else has taken over is left to them. */
async function finishShard(
  context: WorkContext,
  claim: Claim,
  compute: () => Promise<Shard>,
  commit?: () => void,
): Promise<void> {
  const { shardIndex: shard, epoch, dispatch } = claim
  await inTraceSpan("shard", { runId: context.run.runId, dispatch, shard, epoch }, async () => {
    const startedAt = performance.now()
    try {
      const computed = await compute()
      commit?.()
      noteFields({ state: computed.state })
      await reportShards(context, [computed], startedAt)
    } catch (error) {
      if (!(error instanceof StaleEpochError)) throw error
      context.log.warn({ error: error.message }, "a claim was taken over; nothing is written under it")
    }
  })
}

/** Several shards in one transaction. If it fails for one of them, which one each finds out alone. */
async function finishTogether(context: WorkContext, { claims }: ComputeWork, commit: () => void): Promise<void> {
  const { db, shopPool, run, log, signal } = context
  await inTraceSpan("shards", { runId: run.runId, shards: claims.length }, async () => {
    const startedAt = performance.now()
    const compute = () => retryTransient(`compute ${claims.length} shards of run ${run.runId}`, computeAll, context)
    const computeAll = () => computeShards(db, run, claims, shopPool)
    const computed = await inTraceSpan("compute shards", {}, compute).catch((error: unknown) => {
      if (signal.aborted || isTransient(error)) throw error
      log.warn({ error: describeError(error) }, "shards could not be computed together; each is computed alone")
      return undefined
    })
    for (const claim of computed ? [] : claims) {
      await finishShard(context, claim, () => computeOrFail(context, claim, 0))
    }
    commit()
    if (computed) await reportShards(context, computed, startedAt)
  })
}
