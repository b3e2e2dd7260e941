import { StaleEpochError } from "../../shared/errors.ts"
import { inSpan, noteFields } from "../../shared/telemetry/tracing.ts"
import type { Work } from "./claim-work.ts"
import { computeOrFail } from "./compute-or-fail.ts"
import { readClaimed } from "./read-claimed.ts"
import { sendReport } from "./send-report.ts"
import type { WorkContext } from "./work-context.ts"
import { writeManifest } from "./write-manifest.ts"

/** A shard at work. Both promises fail with what the task cannot go on after. */
interface ShardAtWork {
  /** It is done or failed in the ledger: the database is free for the next. */
  committed: Promise<void>
  /** Its manifest is written and its report sent, too. */
  reported: Promise<void>
}

/**
 * Does the work of a task as it comes. While the database computes a shard, the one before gets its manifest and report:
 * never more than that one is under way.
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
 * Brings one shard to its report. A claim that somebody else has taken over is left to them. A task that dies in between
 * leaves a shard that is not reported, and its next attempt reports it.
 */
function startWork(context: WorkContext, work: Work): ShardAtWork {
  const { shardIndex: shard, epoch, dispatch } = work.claim
  const fields = { runId: context.run.runId, dispatch, shard, epoch }
  const { promise, resolve } = Promise.withResolvers<void>()
  const reported = inSpan("shard", fields, () => finishWork(context, work, resolve))
  // Whoever waits for it later finds its failure then.
  reported.catch(() => undefined)
  return { committed: Promise.race([promise, reported]), reported }
}

async function finishWork(context: WorkContext, work: Work, commit: () => void): Promise<void> {
  const { log, run } = context
  const startedAt = performance.now()
  try {
    const shard = await (work.kind === "compute" ? computeOrFail(context, work) : readClaimed(context, work.claim))
    commit()
    noteFields({ state: shard.state })
    const { bucket, reports } = await context.google()
    if (shard.state === "done") await inSpan("write manifest", {}, () => writeManifest(bucket, run, shard, context))
    await inSpan("send shard-reports", {}, () => sendReport(reports, shard, context), { kind: "producer" })
    const ms = Math.round(performance.now() - startedAt)
    log.info({ purchases: shard.purchases?.toString(), ms }, "a shard is finished")
  } catch (error) {
    if (!(error instanceof StaleEpochError)) throw error
    log.warn({ error: error.message }, "a claim was taken over; nothing is written under it")
  }
}
