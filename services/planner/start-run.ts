import { parseJson } from "../../schemas/json.ts"
import { RunRequestSchema } from "../../schemas/messages/run_request_pb.ts"
import { RunStartSchema } from "../../schemas/messages/run_start_pb.ts"
import { readAsker } from "../../shared/asker.ts"
import { readSource } from "../../shared/database/read-source.ts"
import { drawMultipliers } from "../../shared/day/checksum.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { resolveRevenueDay } from "../../shared/day/revenue-day.ts"
import { PermanentError } from "../../shared/errors.ts"
import { parseBackfillCause } from "../../shared/ledger/backfills/backfill-cause.ts"
import { isOfCancelledBackfill } from "../../shared/ledger/backfills/backfills.ts"
import { abandonRun } from "../../shared/ledger/runs/abandon-run.ts"
import { admitRun } from "../../shared/ledger/runs/admit-run.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import { createRun } from "../../shared/ledger/runs/create-run.ts"
import { findRepair, findRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import type { PushMessage } from "../../shared/messages/push-server.ts"
import { refuseAgain, rejectRequest } from "../../shared/messages/reject-request.ts"
import { CAUSE_ATTRIBUTE, REPAIR_ATTRIBUTE, topics } from "../../shared/messages/topics.ts"
import { inTraceSpan, noteFields } from "../../shared/telemetry/tracing.ts"
import { checkReplica } from "./check-replica.ts"
import { checkRevenue } from "./check-revenue.ts"
import { findReasonToStop } from "./find-reason-to-stop.ts"
import { planRun } from "./plan-run.ts"
import { resumeDispatch } from "./resume-dispatch.ts"
import type { RunContext } from "./run-context.ts"

// `<date>-<request id>`, as long as its column.
const AUDIT_ID = /^\d{4}-\d{2}-\d{2}-[\w-]{1,64}$/

// `<date> gap 1`, as long as its column.
const CAUSE = /^\d{4}-\d{2}-\d{2} [\w -]{1,80}$/

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
    if (run) await startRun(context, run, message)
  } catch (error) {
    await endRequest(context, message, error, { runId, dispatch: 0, date })
  }
}

/** Starts a run whose turn has come. Whoever asks for that, and however often, it is started once. */
export async function takeRunStart(context: RunContext, message: PushMessage): Promise<void> {
  let run: Run | undefined
  try {
    run = await findRun(context.db, parseJson(RunStartSchema, message.data).runId)
    // Another message's delivery is planning it, unless this very one was, and died.
    const isPlanned = run?.state === "planning" && message.deliveryAttempt === 1
    if (!run || isPlanned) return
    noteFields({ runId: run.runId, dispatch: run.dispatch })
    await startRun(context, run, message)
  } catch (error) {
    // It is answered as the request that it came of.
    const request = { ...message, id: run?.requestId ?? message.id }
    await endRequest(context, request, error, {
      runId: run?.runId,
      dispatch: run?.dispatch ?? 0,
      date: run?.revenueDate,
    })
  }
}

/** Ends what cannot be carried out, or not for too long; throws what is to be tried again. */
async function endRequest(
  context: RunContext,
  message: PushMessage,
  error: unknown,
  { runId, dispatch, date }: { runId: string | undefined; dispatch: number; date: string | undefined },
): Promise<void> {
  const reason = findReasonToStop(error, message, context.now())
  if (reason === undefined) throw error
  // A run that cannot be planned would keep its date from being run until a sweep gave it up. Once tasks may be at
  // work it needs a verdict, which the next sweep brings about.
  if (runId !== undefined && !(await abandonRun(context.db, runId))) {
    await closeRun(context.db, { runId, dispatch }, reason)
    context.log.error({ runId, error: reason }, "a run that has begun cannot be planned or started, and is closed")
  } else {
    await rejectRequest(context, topics.runRequests, message, { reason, date })
  }
}

async function beginRun(
  context: RunContext,
  message: PushMessage,
  runId: string,
  day: { date: string; fromAt: Date; toAt: Date },
): Promise<Run | undefined> {
  await refuseAgain(context, topics.runRequests, message)
  const repairOf = readRepair(message, day.date)
  const repair = repairOf === undefined ? undefined : await findRepair(context.db, repairOf)
  if (repair) return passOver(context, message, repair)
  await checkRevenue(context.db, context.shopDb, context.shop.layout)
  if (context.shopDb !== context.db) await readSource(() => checkReplica(context.shopDb, day, context.now()))
  const cause = readCause(message, day.date)
  const run = await createRun(context.db, {
    runId,
    revenueDate: day.date,
    requestId: message.id,
    timeZone: context.timeZone,
    fromAt: day.fromAt,
    toAt: day.toAt,
    requestedAt: message.publishedAt,
    checksumMultipliers: drawMultipliers(),
    repairOf,
    cause,
    ...readAsker(message.attributes),
    ...(await readSource(() =>
      chooseRead(context.shopDb, { ...day, timeZone: context.timeZone, shop: context.shop }, context),
    )),
  })
  const isSame = (repairOf !== undefined && run.repairOf === repairOf) || (cause !== undefined && run.cause === cause)
  // A backfill asks for the date again once the run that was before it has ended.
  const asksAgain = parseBackfillCause(cause) !== undefined
  if (run.runId !== runId && (isSame || asksAgain)) return passOver(context, message, run)
  if (run.runId !== runId) {
    throw new PermanentError(
      `run ${run.runId} of ${day.date} is unfinished (${run.state}): wait for its verdict, then start the date again if it is still wanted`,
    )
  }
  context.log.info({ runId, version: run.version }, "a run is begun")
  return run
}

/** The audit whose finding the run is to repair, if the request names one of its date. */
function readRepair({ attributes }: PushMessage, date: string): string | undefined {
  const auditId = attributes[REPAIR_ATTRIBUTE]
  return auditId !== undefined && AUDIT_ID.test(auditId) && auditId.startsWith(date) ? auditId : undefined
}

/** Which need of Daybook's own of its date the request is for. */
function readCause({ attributes }: PushMessage, date: string): string | undefined {
  const cause = attributes[CAUSE_ATTRIBUTE]
  return cause !== undefined && CAUSE.test(cause) && cause.startsWith(date) ? cause : undefined
}

/**
 * The finalizer asked twice, having died before it could write down that it had asked, or will ask again: nobody needs an
 * answer.
 */
function passOver({ log }: RunContext, message: PushMessage, run: Run): undefined {
  log.info({ messageId: message.id, runId: run.runId }, "what was asked for before is not begun again")
}

/**
 * Takes a run as far as its execution, from wherever it stands, if it has a slot; does nothing if it is further. Two messages
 * may start one run at the same moment: its request, and the start that a sweep sends for a waiting run. The delivery that
 * admits it plans it. If that one dies, it is delivered again, and continues from where the run stands.
 */
async function startRun(context: RunContext, { runId, state }: Run, message: PushMessage): Promise<void> {
  const waiting = await findRun(context.db, runId)
  // A rerun is a request of its own, made after the cancellation.
  const isFirst = waiting?.state === "waiting" && waiting.dispatch === 0
  if (isFirst && (await isOfCancelledBackfill(context.db, waiting))) {
    // The request was on its way when the backfill was cancelled.
    await abandonRun(context.db, runId)
    context.log.info({ runId }, "a run of a cancelled backfill is not begun")
    return
  }
  const admission = await admitRun(context.db, runId, context.runsMax)
  if (!admission) return
  const { run, isAdmitted } = admission
  const isOfOther = state === "waiting" && run.state === "planning" && !isAdmitted
  if (isOfOther && message.deliveryAttempt === 1) return
  if (run.state === "waiting") context.log.info({ runId, runsMax: context.runsMax }, "a run waits for its turn")
  else if (run.state === "planning") await inTraceSpan("plan run", {}, () => planRun(context, run))
  else await resumeDispatch(context, run)
}
