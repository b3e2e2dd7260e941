import type { ExecutionsClient } from "@google-cloud/run"
import { DispatchSchema } from "../../schemas/documents/dispatch_pb.ts"
import { parseDocument } from "../../schemas/json.ts"
import { deleteExpired, findExpired, type RetentionSettings } from "../../shared/apply-retention.ts"
import { addDays, instantOf } from "../../shared/day/revenue-day.ts"
import { deleteRows } from "../../shared/day/revenue-rows.ts"
import { dispatchPath } from "../../shared/documents/document-paths.ts"
import { readDocument } from "../../shared/documents/documents.ts"
import { describeError } from "../../shared/errors.ts"
import { hasStatus } from "../../shared/google/grpc-status.ts"
import { findDispatch, listExecutions } from "../../shared/ledger/find-dispatches.ts"
import { findRun, listOpenRuns, type Run } from "../../shared/ledger/find-runs.ts"
import { listWindow } from "../../shared/ledger/list-days.ts"
import { listPrunableRuns, markPruned } from "../../shared/ledger/prune-run.ts"
import { findNewestShown } from "../../shared/ledger/published-days.ts"
import { isUnfinished } from "../../shared/ledger/runs/run-transitions.ts"
import { retryTransient } from "../../shared/retry.ts"
import { recordDays, recordSweep } from "../../shared/telemetry/metrics.ts"
import { parseTraceParent } from "../../shared/telemetry/trace-parent.ts"
import { continueTrace, currentSpan, noteFields } from "../../shared/telemetry/tracing.ts"
import { driveBackfills } from "./drive-backfills.ts"
import { fillGaps, type GapContext } from "./fill-gaps.ts"
import { type FinalizeContext, finalizeRun } from "./finalize-run.ts"
import { type LookAgainContext, lookAgain } from "./look-again.ts"
import { type NightContext, planNight } from "./plan-night.ts"
import { startWaiting } from "./start-waiting.ts"
import { type DeadlineContext, watchDeadline } from "./watch-deadline.ts"

export interface SweepContext extends FinalizeContext, LookAgainContext, Omit<NightContext, "night"> {
  night: NightContext["night"] & DeadlineContext["night"] & GapContext["night"]
  executions: ExecutionsClient
  /** Full name of the worker's job. */
  job: string
  /** How many versions of a date keep their rows. */
  versionsKept: number
  retention: RetentionSettings
  /** When it is worth a look again whether anything is older than it has to be kept. */
  nextRetentionAt: Date
  /** Metrics are exported. */
  hasMetrics: boolean
}

// A batch is one short transaction: replicas and other writers are not kept waiting.
const ROWS_PER_DELETE = 5_000

// A sweep is called every minute; what it does not get to, the next one does.
const DELETES_PER_SWEEP_MAX = 200

// A sweep is called every minute, and looks after runs first.
const AUDITS_PER_SWEEP_MS = 20_000

// A few documents each; a backlog is gone after some sweeps.
const EXPIRED_PER_SWEEP_MAX = 20

// Nothing is due to the minute.
const RETENTION_PAUSE_MS = 3_600_000

/**
 * Looks after what no message will: runs whose executions ended in silence, runs that never got out of planning,
 * verdicts not decided or not announced, rows of versions that nobody sees any more. What fails with one run is
 * logged, does not keep the others waiting, and is thrown at the end.
 */
export async function sweep(context: SweepContext): Promise<void> {
  const failures: unknown[] = []
  const open = await listOpenRuns(context.db)
  for (const run of open) {
    try {
      await continueTrace(currentSpan(), () => lookAfter(context, run))
    } catch (error) {
      context.log.error(
        { runId: run.runId, dispatch: run.dispatch, error: describeError(error) },
        "a run cannot be looked after",
      )
      failures.push(error)
    }
  }
  await startWaiting(context)
  await watchDays(context)
  await pruneVersions(context)
  await forgetExpired(context)
  await planNight(context)
  await lookAgain(context, AUDITS_PER_SWEEP_MS)
  // That there are none is what an alert watches.
  context.log.info({ runs: open.length }, "a sweep has ended")
  await recordNumbers(context)
  if (failures.length > 0) throw new AggregateError(failures)
}

async function lookAfter(context: SweepContext, run: Run): Promise<void> {
  noteFields({ runId: run.runId, dispatch: run.dispatch })
  if (run.state === "waiting" || !(await isOver(context, run))) return
  const parent = parseTraceParent(await findTrace(context, run)) ?? currentSpan()
  await continueTrace(parent, () => finalizeRun(context, run.runId))
}

/** What fails here keeps nothing else waiting: all of it is asked again by the next sweep. */
async function watchDays(context: SweepContext): Promise<void> {
  for (const step of [watchDeadline, fillGaps, driveBackfills]) {
    try {
      await step(context)
    } catch (error) {
      context.log.warn({ error: describeError(error) }, "the days could not be looked after, which the next sweep does")
    }
  }
}

/** What the metrics say of the days. They are worth less than a sweep. */
async function recordNumbers(context: SweepContext): Promise<void> {
  const { db, log, night } = context
  const { REVENUE_TIME_ZONE: timeZone, FIRST_DATE: firstDate } = night
  const now = context.now()
  recordSweep(now)
  if (!context.hasMetrics) return
  try {
    const { days } = await listWindow(db, { timeZone, firstDate }, {}, now)
    const newest = await findNewestShown(db)
    const endedAt = newest === undefined ? undefined : instantOf(addDays(newest, 1), "00:00", timeZone)
    recordDays(
      days.map(({ state }) => state),
      endedAt && now.getTime() - endedAt.getTime(),
    )
  } catch (error) {
    log.warn({ error: describeError(error) }, "the days cannot be counted for the metrics, which the next sweep does")
  }
}

/** The trace of the run's dispatch: a verdict that a sweep brings about belongs to it as any other. */
async function findTrace(context: SweepContext, run: Run): Promise<string | undefined> {
  const path = dispatchPath(run.runId, run.dispatch)
  try {
    const text = await readDocument(context.bucket, path, { ...context, retriesMax: 1 })
    return text === undefined ? undefined : parseDocument(DispatchSchema, text).traceparent
  } catch (error) {
    // A trace is worth less than a verdict.
    context.log.warn({ error: describeError(error) }, "a dispatch cannot be read; its trace is not continued")
    return undefined
  }
}

/** Whether nothing more is to come for the run by itself. */
async function isOver(context: SweepContext, run: Run): Promise<boolean> {
  if (run.state === "verifying" || !isUnfinished(run.state)) return true
  // Its tasks have ended because of a pause: when that is over the planner starts others.
  if (run.pausedAt !== null) return false
  const dispatch = run.state === "running" ? await findDispatch(context.db, run.runId, run.dispatch) : undefined
  const executions = await listExecutions(context.db, run.runId, run.dispatch)
  if (run.state === "planning" || executions.length === 0) {
    // The request is delivered again until it is planned and started, or dead-lettered.
    const since = dispatch?.openedAt ?? run.begunAt ?? run.requestedAt
    return context.now().getTime() - since.getTime() > context.planningMsMax
  }
  for (const execution of executions) {
    if (!(await isExecutionOver(context, execution))) return false
  }
  // Asked again now that they are over: a task writes down that the run pauses before it ends.
  return (await findRun(context.db, run.runId))?.pausedAt === null
}

async function isExecutionOver(context: SweepContext, execution: string): Promise<boolean> {
  const name = `${context.job}/executions/${execution}`
  return retryTransient(
    `get ${name}`,
    async () => {
      try {
        const [found] = await context.executions.getExecution({ name })
        return Boolean(found.completionTime)
      } catch (error) {
        // Somebody deleted it: nothing more will come from it.
        if (hasStatus(error, "notFound")) return true
        throw error
      }
    },
    context,
  )
}

/** What cannot be deleted, such as in a bucket with a retention policy, keeps nothing else waiting. */
async function forgetExpired(context: SweepContext): Promise<void> {
  const { db, bucket, retention, log } = context
  const now = context.now()
  if (now < context.nextRetentionAt) return
  try {
    const expired = await findExpired(db, retention, now, EXPIRED_PER_SWEEP_MAX)
    await deleteExpired(db, bucket, expired, retention, now, context)
    for (const { runId } of expired.runs) log.info({ runId }, "a run older than RETENTION_DAYS is forgotten")
    if (expired.runs.length + expired.audits.length === 0) {
      context.nextRetentionAt = new Date(now.getTime() + RETENTION_PAUSE_MS)
    }
  } catch (error) {
    log.warn({ error: describeError(error) }, "what is older than RETENTION_DAYS cannot be deleted")
  }
}

async function pruneVersions(context: SweepContext): Promise<void> {
  let deletes = 0
  for (const run of await listPrunableRuns(context.db, context.versionsKept)) {
    for (;;) {
      if (deletes++ >= DELETES_PER_SWEEP_MAX) return
      if ((await deleteRows(context.db, { ...run, shop: context.shop }, ROWS_PER_DELETE)) < ROWS_PER_DELETE) break
    }
    await markPruned(context.db, run.runId)
    context.log.info({ runId: run.runId, version: run.version }, "the rows of a version no longer shown are deleted")
  }
}
