import type { PubSub } from "@google-cloud/pubsub"
import type { JobsClient } from "@google-cloud/run"
import type { Bucket } from "@google-cloud/storage"
import { DispatchSchema } from "../../schemas/documents/dispatch_pb.ts"
import { formatJson } from "../../schemas/json.ts"
import { WorkItemSchema } from "../../schemas/messages/work_item_pb.ts"
import type { Database } from "../../shared/database.ts"
import { dispatchPath } from "../../shared/document-paths.ts"
import { createDocument, readDocument } from "../../shared/documents.ts"
import { type Dispatch, listOffered, recordExecution } from "../../shared/ledger/dispatches.ts"
import { findRun, type Run } from "../../shared/ledger/runs.ts"
import { listShards, type Shard } from "../../shared/ledger/shards.ts"
import type { Log } from "../../shared/log.ts"
import { retryTransient } from "../../shared/retry.ts"
import { deleteRunSubscription } from "../../shared/run-subscription.ts"
import { runSubscription, topics } from "../../shared/topics.ts"
import { formatTraceParent, traceAttributes } from "../../shared/trace-parent.ts"
import { currentSpan, inSpan } from "../../shared/tracing.ts"

export interface DispatchContext {
  db: Database
  pubsub: PubSub
  bucket: Bucket
  jobs: JobsClient
  log: Log
  /** Full name of the worker's job. */
  job: string
  /** Tasks of an execution where the job sets no parallelism. */
  tasksMax: number
}

const ALREADY_EXISTS = 6

// A subscription is unused between the end of a dispatch and a rerun: a month, and the finalizer deletes it with the
// complete verdict anyway.
const SUBSCRIPTION_EXPIRES_SECONDS = 31 * 24 * 3600

// A claim is settled within one statement; Pub/Sub's least is 10 s.
const ACK_DEADLINE_SECONDS = 10

// Cloud Run's own limit: https://cloud.google.com/run/quotas
const TASKS_LIMIT = 10_000

/**
 * Brings an opened dispatch to the tasks: the run's subscription, the work items, the execution, the dispatch document.
 * Each step may be repeated and ends in the same state, but the execution: RunJob has no idempotency key, and an
 * execution more finds every shard claimed and ends. The document comes last: where it is, nothing is left to do.
 */
export async function startDispatch(context: DispatchContext, run: Run, dispatch: Dispatch): Promise<void> {
  const path = dispatchPath(run.runId, dispatch.dispatch)
  if (dispatch.execution !== null && (await readDocument(context.bucket, path, context)) !== undefined) return
  const offered = await listOffered(context.db, run.runId, dispatch.dispatch)
  const countTasks = await readTaskLimits(context)
  const taskCount = countTasks(dispatch.shardCount ?? offered.length)
  await createSubscription(context, run.runId)
  await sendWorkItems(context, run, dispatch.dispatch, offered)
  if (dispatch.execution === null) await startExecution(context, run, dispatch.dispatch, taskCount)
  const indexes = (await listShards(context.db, run.runId))
    .filter((shard) => shard.dispatch === dispatch.dispatch)
    .map((shard) => shard.shardIndex)
  await writeDispatch(context, run, dispatch, taskCount, indexes)
}

/**
 * Deletes the subscription of a run that is complete by now. The finalizer does so with the verdict, but a request that
 * is delivered again, its planner having died after RunJob, may make it anew while the tasks finish the day.
 */
export async function releaseSubscription(context: DispatchContext, runId: string): Promise<void> {
  const run = await findRun(context.db, runId)
  if (run?.state === "complete") await deleteRunSubscription(context.pubsub, runId)
}

/**
 * Asks the job how many tasks an execution for so many shards is to have: what can run at once, never below the job's
 * parallelism (Cloud Run refuses that), never more than the shards unless that rule asks for it. A parallelism of 0
 * means that Cloud Run sets no bound.
 */
export async function readTaskLimits(context: DispatchContext): Promise<(shards: number) => number> {
  const parallelism = await retryTransient(
    `get ${context.job}`,
    async () => {
      const [job] = await context.jobs.getJob({ name: context.job })
      return job.template?.parallelism ?? 0
    },
    context,
  )
  const atOnce = parallelism > 0 ? parallelism : context.tasksMax
  return (shards) => Math.min(TASKS_LIMIT, Math.max(1, parallelism, Math.min(atOnce, shards)))
}

/** Creates the subscription through which the tasks of a run pull its work items, if there is none yet. */
export async function createSubscription(context: DispatchContext, runId: string): Promise<void> {
  await retryTransient(
    `create the subscription of run ${runId}`,
    async () => {
      try {
        await context.pubsub.topic(topics.workItems).createSubscription(runSubscription(runId), {
          filter: `attributes.runId = "${runId}"`,
          ackDeadlineSeconds: ACK_DEADLINE_SECONDS,
          expirationPolicy: { ttl: { seconds: SUBSCRIPTION_EXPIRES_SECONDS } },
          labels: { app: "daybook", daybook: "run" },
        })
      } catch (error) {
        if ((error as { code?: unknown }).code !== ALREADY_EXISTS) throw error
      }
    },
    context,
  )
}

/** Sends a work item for each of these shards. */
export async function sendWorkItems(
  context: DispatchContext,
  run: Run,
  dispatch: number,
  offered: Pick<Shard, "shardIndex" | "rangeFrom" | "rangeTo">[],
): Promise<void> {
  const topic = context.pubsub.topic(topics.workItems, { batching: { maxMessages: 1_000, maxMilliseconds: 5 } })
  const sent = offered.map((shard) => {
    const data = formatJson(WorkItemSchema, {
      runId: run.runId,
      dispatch,
      index: shard.shardIndex,
      date: run.revenueDate,
      ...(shard.rangeFrom === null ? {} : { from: shard.rangeFrom }),
      ...(shard.rangeTo === null ? {} : { to: shard.rangeTo }),
    })
    const attributes = {
      runId: run.runId,
      dispatch: String(dispatch),
      index: String(shard.shardIndex),
      ...traceAttributes(currentSpan()),
    }
    return topic.publishMessage({ data: Buffer.from(data), attributes })
  })
  await Promise.all(sent)
}

/** Starts the execution of a dispatch and records it; does not wait for its end. */
export async function startExecution(
  context: DispatchContext,
  run: Run,
  dispatch: number,
  taskCount: number,
): Promise<void> {
  await inSpan("start dispatch", { runId: run.runId, dispatch }, async () => {
    const execution = await executeJob(context, run.runId, dispatch, taskCount)
    await recordExecution(context.db, run.runId, dispatch, execution)
    context.log.info({ runId: run.runId, dispatch, taskCount, execution }, "a dispatch is started")
  })
}

/** Keeps what was offered in the dispatch. */
export async function writeDispatch(
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

/** Calls RunJob and returns the execution's name. */
async function executeJob(
  context: DispatchContext,
  runId: string,
  dispatch: number,
  taskCount: number,
): Promise<string> {
  const span = currentSpan()
  return retryTransient(
    `run ${context.job} for run ${runId}`,
    async () => {
      const [operation] = await context.jobs.runJob({
        name: context.job,
        overrides: {
          taskCount,
          containerOverrides: [
            {
              env: [
                { name: "RUN_ID", value: runId },
                { name: "DISPATCH", value: String(dispatch) },
                // As OpenTelemetry names it: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
                ...(span ? [{ name: "TRACEPARENT", value: formatTraceParent(span) }] : []),
              ],
            },
          ],
        },
      })
      const name = (operation.metadata as { name?: string } | null)?.name
      if (!name) throw new Error(`RunJob of ${context.job} answered without the execution's name`)
      // Tasks know it by its last part, as CLOUD_RUN_EXECUTION.
      return name.slice(name.lastIndexOf("/") + 1)
    },
    context,
  )
}
