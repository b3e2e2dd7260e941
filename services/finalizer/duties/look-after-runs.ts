import type { ExecutionsClient } from "@google-cloud/run"
import { DispatchSchema } from "../../../schemas/documents/dispatch_pb.ts"
import { parseDocument } from "../../../schemas/json.ts"
import { dispatchPath } from "../../../shared/documents/document-paths.ts"
import { readDocument } from "../../../shared/documents/documents.ts"
import { describeError } from "../../../shared/errors.ts"
import { hasStatus } from "../../../shared/google/grpc-status.ts"
import { findDispatch, listExecutions } from "../../../shared/ledger/runs/find-dispatches.ts"
import { findRun, listOpenRuns, type Run } from "../../../shared/ledger/runs/find-runs.ts"
import { isUnfinished } from "../../../shared/ledger/runs/run-transitions.ts"
import { retryTransient } from "../../../shared/retry.ts"
import { parseTraceParent } from "../../../shared/telemetry/trace-parent.ts"
import { continueTrace, currentSpan, noteFields } from "../../../shared/telemetry/tracing.ts"
import { type FinalizeContext, finalizeRun } from "../verdict/finalize-run.ts"
import { type Attempt, awaitAttempt, beginAttempt } from "./attempt.ts"
import { throwFailures } from "./try-each.ts"

export interface RunCareContext extends FinalizeContext {
  executions: ExecutionsClient
  /** Full name of the worker's job. */
  job: string
  /** Milliseconds after which a run without an execution is abandoned. */
  planningMsMax: number
}

// After this the next run is looked after beside it: a big day is verified for minutes.
const RUN_TURN_MS = 2_000

// The duty ends by then, so that it can look for further runs; what still runs is awaited again by the next sweep.
const AWAITED_MS = 30_000

/**
 * Makes the function that looks after runs for which no message comes: runs whose executions ended in silence, runs that
 * never got out of planning, verdicts that are not decided or not sent. What fails or hangs with one run keeps no other
 * waiting. A run that is still being looked after is not looked after twice.
 */
export function createRunCare(
  context: RunCareContext,
  { turnMs = RUN_TURN_MS, awaitedMs = AWAITED_MS } = {},
): () => Promise<void> {
  const attempts = new Map<string, Attempt<void>>()
  return async () => {
    const until = performance.now() + awaitedMs
    const awaited: [string, Attempt<void>][] = []
    for (const run of await listOpenRuns(context.db)) {
      const attempt = attempts.get(run.runId) ?? beginCare(context, run, attempts)
      awaited.push([run.runId, attempt])
      await awaitAttempt(attempt, Math.min(turnMs, until - performance.now()))
    }
    await Promise.all(awaited.map(([, attempt]) => awaitAttempt(attempt, until - performance.now())))
    throwFailures(awaited.flatMap(([runId, attempt]) => findFailure(context, runId, attempt)))
  }
}

function beginCare(context: RunCareContext, run: Run, attempts: Map<string, Attempt<void>>): Attempt<void> {
  const { runId, dispatch } = run
  const attempt = beginAttempt(async () => {
    try {
      await continueTrace(currentSpan(), () => lookAfter(context, run))
    } catch (error) {
      context.log.error({ runId, dispatch, error: describeError(error) }, "a run cannot be looked after")
      throw error
    } finally {
      attempts.delete(runId)
    }
  })
  attempts.set(runId, attempt)
  return attempt
}

/** What went wrong with a run, as far as it is known by now. */
function findFailure({ verifyingMsMax }: RunCareContext, runId: string, { outcome, startedMs }: Attempt<void>) {
  if (outcome) return "error" in outcome ? [outcome.error] : []
  const ms = performance.now() - startedMs
  if (ms < verifyingMsMax) return []
  return [new Error(`run ${runId} has been looked after for ${Math.round(ms / 60_000)} min: restart the finalizer`)]
}

async function lookAfter(context: RunCareContext, run: Run): Promise<void> {
  noteFields({ runId: run.runId, dispatch: run.dispatch })
  if (run.state === "waiting" || !(await isOver(context, run))) return
  const parent = parseTraceParent(await findTrace(context, run)) ?? currentSpan()
  await continueTrace(parent, () => finalizeRun(context, run.runId))
}

/** The trace of the run's dispatch: a verdict that a sweep brings about belongs to it as any other. */
async function findTrace(context: RunCareContext, run: Run): Promise<string | undefined> {
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
async function isOver(context: RunCareContext, run: Run): Promise<boolean> {
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

async function isExecutionOver(context: RunCareContext, execution: string): Promise<boolean> {
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
