import type { Topic } from "@google-cloud/pubsub"
import type { Bucket } from "@google-cloud/storage"
import type { Pool } from "mysql2"
import { formatJson } from "../../schemas/json.ts"
import { ShardReportSchema } from "../../schemas/messages/shard_report_pb.ts"
import type { Database } from "../../shared/database.ts"
import { describeError, PermanentError, StaleEpochError } from "../../shared/errors.ts"
import type { Run } from "../../shared/ledger/runs.ts"
import { type Claim, failShard, findShard, type Shard, type TaskAttempt } from "../../shared/ledger/shards.ts"
import type { Log } from "../../shared/log.ts"
import { formatRange } from "../../shared/range.ts"
import { type RetryOptions, retryTransient } from "../../shared/retry.ts"
import { shardRange } from "../../shared/shard-range.ts"
import { traceAttributes } from "../../shared/trace-parent.ts"
import { currentSpan, inSpan, noteFields } from "../../shared/tracing.ts"
import { isTransient } from "../../shared/transient.ts"
import type { Work } from "./claim-items.ts"
import { computeShard } from "./compute-shard.ts"
import { findUnfitUser } from "./find-unfit-user.ts"
import { writeManifest } from "./write-manifest.ts"

export interface WorkContext {
  db: Database
  /** Where the shop is read, if not in the database. */
  source: Pool | undefined
  /** The same for single statements; the database itself unless the shop is elsewhere. */
  shop: Database
  bucket: Bucket
  reports: Topic
  log: Log
  run: Run
  task: TaskAttempt
  crashesMax: number
  /** At its abort, the transaction under way is rolled back and retries end. */
  signal: AbortSignal
}

/** A piece of work under way. Both promises fail with what the task cannot go on after. */
export interface StartedWork {
  /** The shard is done or failed in the ledger: the database is free for the next. */
  settled: Promise<void>
  /** Its manifest is written and its report sent, too. */
  told: Promise<void>
}

/**
 * Does one piece of work: the shard computed or failed, its manifest written, its report sent. A claim that somebody
 * else has taken over is left to them. A task that dies in between leaves a shard that is not reported, and its next
 * attempt tells of it.
 */
export function startWork(context: WorkContext, work: Work): StartedWork {
  const { shardIndex: shard, epoch, dispatch } = work.claim
  const fields = { runId: context.run.runId, dispatch, shard, epoch }
  const { promise, resolve } = Promise.withResolvers<void>()
  const told = inSpan("shard", fields, () => finishWork(context, work, resolve))
  // Whoever waits for it later finds its failure then.
  told.catch(() => undefined)
  return { settled: Promise.race([promise, told]), told }
}

async function finishWork(context: WorkContext, work: Work, settled: () => void): Promise<void> {
  const { log, run } = context
  const { shardIndex, epoch } = work.claim
  const startedAt = performance.now()
  try {
    if (work.kind === "compute") await settleShard(context, work.claim, work.crashes)
    const shard = await retry(context, `read shard ${shardIndex}`, () => findShard(context.db, run.runId, shardIndex))
    if (!shard || shard.epoch !== epoch)
      throw new StaleEpochError(`shard ${shardIndex} has a newer claim than ${epoch}`)
    settled()
    noteFields({ state: shard.state })
    if (shard.state === "done") {
      await inSpan("write manifest", {}, () => writeManifest(context.bucket, run, shard, retryOptions(context)))
    }
    await inSpan("send shard-reports", {}, () => sendReport(context, shard), { kind: "producer" })
    const ms = Math.round(performance.now() - startedAt)
    log.info({ purchases: shard.purchases?.toString(), ms }, "a shard is finished")
  } catch (error) {
    if (!(error instanceof StaleEpochError)) throw error
    log.warn({ error: error.message }, "a claim was taken over; nothing is written under it")
  }
}

/** Computes a claimed shard, or marks it failed with the reason. */
async function settleShard(context: WorkContext, claim: Claim, crashes: number): Promise<void> {
  const { db, source, run, task, signal } = context
  if (crashes >= context.crashesMax) {
    const error = `its task died ${crashes} times while computing it: see the logs of task ${task.taskIndex} of execution ${task.execution}`
    await failClaim(context, claim, new PermanentError(error))
    return
  }
  const compute = () => computeShard(db, run, claim, source)
  try {
    await inSpan("compute shard", {}, () =>
      retry(context, `compute shard ${claim.shardIndex} of run ${run.runId}`, compute),
    )
  } catch (error) {
    if (error instanceof StaleEpochError || signal.aborted || isTransient(error)) throw error
    await failClaim(context, claim, error)
  }
}

async function failClaim(context: WorkContext, claim: Claim, cause: unknown): Promise<void> {
  const { db, run, shop } = context
  const shard = await retry(context, `read shard ${claim.shardIndex}`, () => findShard(db, run.runId, claim.shardIndex))
  const range = shard ? shardRange(shard) : {}
  const unfit = await retry(context, "find the user whose sum does not fit", () =>
    findUnfitUser(shop, run, range, cause),
  )
  const error = `${formatRange(range)}: ${unfit ?? describeError(cause)}`
  context.log.error({ error }, "a shard has failed")
  await retry(context, `mark shard ${claim.shardIndex} failed`, () => failShard(db, claim, error))
}

async function sendReport(context: WorkContext, shard: Shard): Promise<void> {
  const data = formatJson(ShardReportSchema, {
    runId: shard.runId,
    dispatch: shard.dispatch,
    index: shard.shardIndex,
    epoch: shard.epoch,
    outcome: shard.state,
    ...(shard.state === "failed" ? { error: shard.error ?? "" } : {}),
  })
  await retry(context, `report shard ${shard.shardIndex}`, () =>
    context.reports.publishMessage({
      data: Buffer.from(data),
      attributes: { runId: shard.runId, ...traceAttributes(currentSpan()) },
    }),
  )
}

function retry<T>(context: WorkContext, what: string, call: () => Promise<T>): Promise<T> {
  return retryTransient(what, call, retryOptions(context))
}

function retryOptions({ log, signal }: WorkContext): RetryOptions {
  return { log, signal }
}
