import { PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { formatJson, MalformedError, parseDocument, parseJson } from "../../schemas/json.ts"
import { RunRequestSchema } from "../../schemas/messages/run_request_pb.ts"
import type { Database } from "../../shared/database.ts"
import { planPath } from "../../shared/document-paths.ts"
import { createDocument, readDocument } from "../../shared/documents.ts"
import { PermanentError } from "../../shared/errors.ts"
import { findDispatch, openFirstDispatch } from "../../shared/ledger/dispatches.ts"
import { abandonRun, createRun, findRun, type Run } from "../../shared/ledger/runs.ts"
import type { PushMessage } from "../../shared/push-server.ts"
import type { Range } from "../../shared/range.ts"
import { readSource } from "../../shared/read-source.ts"
import { topics } from "../../shared/topics.ts"
import { inSpan, noteFields } from "../../shared/tracing.ts"
import { checkReplica } from "./check-replica.ts"
import { chooseRead } from "./inspect-source.ts"
import { planRanges } from "./plan-ranges.ts"
import { findRejection, type RejectionContext, rejectRequest } from "./reject-request.ts"
import { resolveRevenueDay } from "./revenue-day.ts"
import { type DispatchContext, releaseSubscription, startDispatch } from "./start-dispatch.ts"

export interface RunContext extends DispatchContext, RejectionContext {
  /** Where the shop is read; the database itself unless the shop is elsewhere. */
  source: Database
  timeZone: string
  shardPurchases: number
  shardsMax: number
  now(): Date
}

/** Turns a run request into a run at work, or rejects it. May be repeated after a crash at any point. */
export async function takeRunRequest(context: RunContext, message: PushMessage): Promise<void> {
  let date: string | undefined
  let runId: string | undefined
  try {
    date = parseJson(RunRequestSchema, message.data).date
    const day = resolveRevenueDay(date, context.timeZone, message.publishedAt, context.now())
    date = day.date
    // The same message is the same run: ids of messages are unique in a topic.
    runId = `${day.date}-${message.id}`
    noteFields({ runId, dispatch: 0 })
    const run = (await findRun(context.db, runId)) ?? (await beginRun(context, message, runId, day))
    await startRun(context, run)
  } catch (error) {
    if (!(error instanceof PermanentError || error instanceof MalformedError)) throw error
    await rejectRequest(context, topics.runRequests, message, { reason: error.message, date })
    // It would keep its date from being run until a sweep gave it up.
    if (runId !== undefined) await abandonRun(context.db, runId)
  }
}

async function beginRun(
  context: RunContext,
  message: PushMessage,
  runId: string,
  day: { date: string; fromAt: Date; toAt: Date },
): Promise<Run> {
  const rejection = await findRejection(context, topics.runRequests, message)
  if (rejection) throw new PermanentError(rejection.reason ?? "rejected before")
  if (context.source !== context.db) await readSource(() => checkReplica(context.source, day, context.now()))
  const run = await createRun(context.db, {
    runId,
    revenueDate: day.date,
    requestId: message.id,
    timeZone: context.timeZone,
    fromAt: day.fromAt,
    toAt: day.toAt,
    requestedAt: message.publishedAt,
    ...(await readSource(() => chooseRead(context.source, day))),
  })
  if (run.runId !== runId) {
    throw new PermanentError(
      `run ${run.runId} of ${day.date} is unfinished (${run.state}): wait for its verdict, then start the date again if it is still wanted`,
    )
  }
  context.log.info({ runId, version: run.version }, "a run is begun")
  return run
}

/** Takes a run as far as its execution, from wherever it stands; does nothing if it is further. */
async function startRun(context: RunContext, run: Run): Promise<void> {
  if (run.state === "planning") {
    const plan = await inSpan("plan run", {}, () => obtainPlan(context, run))
    await openFirstDispatch(context.db, run, plan)
  }
  const dispatch = await findDispatch(context.db, run.runId, 0)
  const current = await findRun(context.db, run.runId)
  if (dispatch && current?.state === "running" && current.dispatch === 0) {
    await startDispatch(context, current, dispatch)
  }
  await releaseSubscription(context, run.runId)
}

/** The plan in the bucket; makes it first if there is none. If two make it, one of them is the plan for both. */
async function obtainPlan(context: RunContext, run: Run): Promise<Range[]> {
  const path = planPath(run.runId)
  const text = (await readDocument(context.bucket, path, context)) ?? (await makePlan(context, run, path))
  return parseDocument(PlanSchema, text).shards.map(({ from, to }) => ({ from, to }))
}

async function makePlan(context: RunContext, run: Run, path: string): Promise<string> {
  const ranges = await readSource(() => planRanges(context.source, run, context.shardPurchases, context.shardsMax))
  const text = formatJson(
    PlanSchema,
    {
      runId: run.runId,
      date: run.revenueDate,
      version: run.version,
      timeZone: run.timeZone,
      fromAt: run.fromAt.toISOString(),
      toAt: run.toAt.toISOString(),
      shardPurchases: context.shardPurchases,
      shards: ranges.map(({ from, to }) => ({
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
      })),
      plannedAt: context.now().toISOString(),
      read: { index: run.sourceIndex, way: run.sourceWay },
    },
    2,
  )
  context.log.info({ runId: run.runId, shards: ranges.length }, "a run is planned")
  return createDocument(context.bucket, path, text, context)
}
