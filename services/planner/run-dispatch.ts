import type { PubSub } from "@google-cloud/pubsub"
import type { JobsClient } from "@google-cloud/run"
import type { Bucket } from "@google-cloud/storage"
import type { Shop } from "../../schemas/database/shop.ts"
import { DispatchSchema } from "../../schemas/documents/dispatch_pb.ts"
import { formatJson } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { dispatchPath } from "../../shared/documents/document-paths.ts"
import { createDocument, readDocument } from "../../shared/documents/documents.ts"
import type { Dispatch } from "../../shared/ledger/runs/find-dispatches.ts"
import type { Run } from "../../shared/ledger/runs/find-runs.ts"
import { recordExecution } from "../../shared/ledger/runs/record-execution.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { createRunSubscription } from "../../shared/messages/run-subscription.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import { formatTraceParent } from "../../shared/telemetry/trace-parent.ts"
import { currentSpan, inTraceSpan } from "../../shared/telemetry/tracing.ts"
import { executeJob } from "./execute-job.ts"
import type { Offer } from "./offer.ts"
import { sendWorkItems } from "./send-work-items.ts"
import type { CountTasks } from "./task-limits.ts"

export interface DispatchContext {
  db: Database
  shop: Shop
  pubsub: PubSub
  bucket: Bucket
  jobs: JobsClient
  log: Log
  /** Full name of the worker's job. */
  job: string
  /** Tasks of an execution where the job sets no parallelism. */
  tasksMax: number
}

export interface DispatchToRun extends Pick<Dispatch, "dispatch" | "requestId" | "execution"> {
  /** The execution that ended in a pause, in whose place another is started. */
  ended?: string | undefined
}

/**
 * Brings a dispatch to the tasks: its subscription, its work items as they are offered, its execution as soon as every
 * task that can run at once has a shard, and last its document: where that is, nothing is left to do. Each step may be
 * repeated and ends in the same state, but the execution: RunJob has no idempotency key, and an execution more finds
 * every shard claimed and ends.
 */
export async function runDispatch(
  context: DispatchContext,
  run: Run,
  dispatch: DispatchToRun,
  countTasks: CountTasks,
  offers: AsyncIterable<Offer> | Iterable<Offer>,
): Promise<void> {
  const subscribed = createRunSubscription(context.pubsub, run.runId, context)
  subscribed.catch(() => undefined) // found where it is needed
  const tasksAtOnce = countTasks(Number.POSITIVE_INFINITY)
  const indexes: number[] = []
  let starting = dispatch.execution === null ? undefined : Promise.resolve()
  for await (const { shards, isWhole } of offers) {
    for (const shard of shards) indexes.push(shard.shardIndex)
    const unclaimed = shards.filter((shard) => shard.state === "offered")
    // With the last, which are sent meanwhile; else after, so that the tasks find their items there.
    if (isWhole) starting ??= start(context, run, dispatch, countTasks(indexes.length))
    await subscribed
    await sendWorkItems(context, run, dispatch.dispatch, unclaimed)
    if (indexes.length >= tasksAtOnce) starting ??= start(context, run, dispatch, countTasks(indexes.length))
  }
  await starting
  await writeDispatch(context, run, dispatch, countTasks(indexes.length), indexes)
}

/** What is left to do of a dispatch all of whose shards were offered in one transaction; undefined if nothing is. */
export async function findOffer(
  context: DispatchContext,
  run: Run,
  { dispatch, execution }: Pick<Dispatch, "dispatch" | "execution">,
): Promise<Offer | undefined> {
  const path = dispatchPath(run.runId, dispatch)
  if (execution !== null && (await readDocument(context.bucket, path, context)) !== undefined) return undefined
  const shards = await listShards(context.db, run.runId)
  return { shards: shards.filter((shard) => shard.dispatch === dispatch), isWhole: true }
}

/** Starts the execution of a dispatch and records it; does not wait for its end. */
function start(
  context: DispatchContext,
  run: Run,
  { dispatch, ended }: DispatchToRun,
  taskCount: number,
): Promise<void> {
  const { runId } = run
  const starting = inTraceSpan("start dispatch", { runId, dispatch }, async () => {
    const execution = await executeJob(context, runId, dispatch, taskCount)
    await recordExecution(context.db, runId, dispatch, execution, ended)
    context.log.info({ runId, dispatch, taskCount, execution }, "a dispatch is started")
  })
  starting.catch(() => undefined) // found at the end
  return starting
}

/** Keeps what was offered in the dispatch. */
async function writeDispatch(
  context: DispatchContext,
  run: Run,
  { dispatch, requestId }: Pick<Dispatch, "dispatch" | "requestId">,
  taskCount: number,
  shards: number[],
): Promise<void> {
  const span = currentSpan()
  const text = formatJson(
    DispatchSchema,
    {
      runId: run.runId,
      dispatch,
      requestId,
      shards,
      taskCount,
      job: context.job,
      ...(span ? { traceparent: formatTraceParent(span) } : {}),
    },
    2,
  )
  await createDocument(context.bucket, dispatchPath(run.runId, dispatch), text, context)
}
