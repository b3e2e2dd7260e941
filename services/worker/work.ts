import type { Topic } from "@google-cloud/pubsub"
import type { Bucket } from "@google-cloud/storage"
import type { Pool } from "mysql2"
import { formatJson } from "../../schemas/json.ts"
import { ShardReportSchema } from "../../schemas/messages/shard_report_pb.ts"
import type { Database } from "../../shared/database.ts"
import { describeError, StaleEpochError } from "../../shared/errors.ts"
import type { Run } from "../../shared/ledger/runs.ts"
import { failShard, findShard, type Shard } from "../../shared/ledger/shards.ts"
import type { Log } from "../../shared/log.ts"
import { formatRange } from "../../shared/range.ts"
import { type RetryOptions, retryTransient } from "../../shared/retry.ts"
import { shardRange } from "../../shared/shard-range.ts"
import { isTransient } from "../../shared/transient.ts"
import type { Work } from "./claim-items.ts"
import { computeShard } from "./compute-shard.ts"
import { writeManifest } from "./write-manifest.ts"

export interface WorkContext {
  db: Database
  /** Where the shop is read, if not in the database. */
  source: Pool | undefined
  bucket: Bucket
  reports: Topic
  log: Log
  run: Run
  crashesMax: number
  /** At its abort, the transaction under way is rolled back and retries end. */
  signal: AbortSignal
}

/**
 * Does one piece of work to its end: the shard computed or failed, its manifest written, its report sent. A claim that
 * somebody else has taken over is left to them. Throws what the task cannot go on after.
 */
export async function doWork(context: WorkContext, work: Work): Promise<void> {
  const { log, run } = context
  const { shardIndex, epoch } = work.shard
  const fields = { runId: run.runId, shard: shardIndex, epoch, dispatch: work.shard.dispatch }
  const startedAt = performance.now()
  try {
    if (work.kind === "compute") await settleShard(context, work.shard)
    const shard = await retry(context, `read shard ${shardIndex}`, () => findShard(context.db, run.runId, shardIndex))
    if (!shard || shard.epoch !== epoch)
      throw new StaleEpochError(`shard ${shardIndex} has a newer claim than ${epoch}`)
    if (shard.state === "done") await writeManifest(context.bucket, run, shard, retryOptions(context))
    await sendReport(context, shard)
    const ms = Math.round(performance.now() - startedAt)
    log.info({ ...fields, state: shard.state, purchases: shard.purchases?.toString(), ms }, "a shard is finished")
  } catch (error) {
    if (!(error instanceof StaleEpochError)) throw error
    log.warn({ ...fields, error: error.message }, "a claim was taken over; nothing is written under it")
  }
}

/** Computes a claimed shard, or marks it failed with the reason. */
async function settleShard(context: WorkContext, claim: Shard): Promise<void> {
  const { db, source, run, signal } = context
  const name = `shard ${claim.shardIndex} of run ${run.runId}`
  if (claim.crashes >= context.crashesMax) {
    const error = `its task died ${claim.crashes} times while computing it: see the logs of task ${claim.taskIndex} of execution ${claim.execution}`
    await failClaim(context, claim, error)
    return
  }
  try {
    await retry(context, `compute ${name}`, () => computeShard(db, run, claim, source))
  } catch (error) {
    if (error instanceof StaleEpochError || signal.aborted || isTransient(error)) throw error
    await failClaim(context, claim, `${formatRange(shardRange(claim))}: ${describeError(error)}`)
  }
}

async function failClaim(context: WorkContext, claim: Shard, error: string): Promise<void> {
  context.log.error({ runId: claim.runId, shard: claim.shardIndex, epoch: claim.epoch, error }, "a shard has failed")
  await retry(context, `mark shard ${claim.shardIndex} failed`, () => failShard(context.db, claim, error))
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
    context.reports.publishMessage({ data: Buffer.from(data), attributes: { runId: shard.runId } }),
  )
}

function retry<T>(context: WorkContext, what: string, call: () => Promise<T>): Promise<T> {
  return retryTransient(what, call, retryOptions(context))
}

function retryOptions({ log, signal }: WorkContext): RetryOptions {
  return { log, signal }
}
