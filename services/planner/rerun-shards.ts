import { PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { type Verdict_Fault, Verdict_FaultSchema, VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { parseDocument, parseJson } from "../../schemas/json.ts"
import { type RerunRequest, RerunRequestSchema } from "../../schemas/messages/rerun_request_pb.ts"
import { readAsker } from "../../shared/asker.ts"
import { planPath } from "../../shared/documents/document-paths.ts"
import { readDocument } from "../../shared/documents/documents.ts"
import { PermanentError } from "../../shared/errors.ts"
import { admitRun } from "../../shared/ledger/runs/admit-run.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import { findDispatchOfRequest } from "../../shared/ledger/runs/find-dispatches.ts"
import { findNewestRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import { openNextDispatch } from "../../shared/ledger/runs/open-next-dispatch.ts"
import { findRequestedRun } from "../../shared/messages/find-requested-run.ts"
import type { PushMessage } from "../../shared/messages/push-server.ts"
import { refuseAgain, rejectRequest } from "../../shared/messages/reject-request.ts"
import { topics } from "../../shared/messages/topics.ts"
import { noteFields } from "../../shared/telemetry/tracing.ts"
import { findReasonToStop } from "./find-reason-to-stop.ts"
import { resumeDispatch } from "./resume-dispatch.ts"
import type { RunContext } from "./run-context.ts"

/** Turns a rerun request into the next dispatch of an incomplete run, or rejects it. May be repeated after a crash. */
export async function takeRerunRequest(context: RunContext, message: PushMessage): Promise<void> {
  let run: Run | undefined
  try {
    const request = parseJson(RerunRequestSchema, message.data)
    run = await findRequestedRun(context.db, request.run)
    noteFields({ runId: run.runId })
    const isOpen = (await findDispatchOfRequest(context.db, run.runId, message.id)) !== undefined
    if (!isOpen) await openRerun(context, run, request, message)
    const admitted = await admitRun(context.db, run.runId, context.runsMax)
    if (admitted?.run.state === "waiting") context.log.info({ runsMax: context.runsMax }, "a rerun waits for its turn")
    else if (admitted) await resumeDispatch(context, admitted.run)
  } catch (error) {
    const reason = findReasonToStop(error, message, context.now())
    if (reason === undefined) throw error
    const opened = run && (await findDispatchOfRequest(context.db, run.runId, message.id))
    if (run && opened) {
      await closeRun(context.db, { runId: run.runId, dispatch: opened.dispatch }, reason)
      context.log.error({ error: reason }, "a rerun that is open cannot be started, and is closed")
      return
    }
    await rejectRequest(context, topics.rerunRequests, message, {
      reason,
      runId: run?.runId,
      date: run?.revenueDate,
    })
  }
}

async function openRerun(context: RunContext, run: Run, request: RerunRequest, message: PushMessage): Promise<void> {
  await refuseAgain(context, topics.rerunRequests, message)
  await refuseRerun(context, run)
  if (run.announcedAt === null) throw new Error(`the verdict on run ${run.runId} is on its way: rerun after it`)
  const indexes = request.shards.length > 0 ? pickShards(run, request.shards) : await findWantingShards(context, run)
  // False: the run has changed since it was read. Delivered again, the message is judged anew.
  if (!(await openNextDispatch(context.db, run, message.id, indexes, readAsker(message.attributes)))) {
    throw new Error(`run ${run.runId} has changed while its rerun was being opened`)
  }
  context.log.info({ runId: run.runId, dispatch: run.dispatch + 1, shards: indexes.length }, "a rerun is opened")
}

async function refuseRerun(context: RunContext, run: Run): Promise<void> {
  const startAnew = `{"date":"${run.revenueDate}"} on ${topics.runRequests}`
  switch (run.state) {
    case "held":
      throw new PermanentError(
        `run ${run.runId} is held by a check: release it by {"runId":"${run.runId}"} on ${topics.releaseRequests}, or to compute the date anew, publish ${startAnew}`,
      )
    case "cancelled":
      throw new PermanentError(`run ${run.runId} was cancelled: to compute the date, publish ${startAnew}`)
    case "waiting":
    case "planning":
    case "running":
    case "verifying":
      throw new PermanentError(`run ${run.runId} is ${run.state}: wait for its verdict`)
    case "complete":
      throw new PermanentError(
        `run ${run.runId} is complete and is not written again: to compute the date anew, publish ${startAnew}`,
      )
    case "incomplete":
  }
  const newest = await findNewestRun(context.db, run.revenueDate)
  if (newest && newest.runId !== run.runId) {
    throw new PermanentError(
      `run ${run.runId} is version ${run.version} of ${run.revenueDate}, and ${newest.runId} is the newest (version ${newest.version}, ${newest.state}): rerun that, or publish ${startAnew}`,
    )
  }
  if (run.checksumMultipliers === null) {
    throw new PermanentError(
      `run ${run.runId} was begun by an older version of Daybook, which could not prove each user: publish ${startAnew}`,
    )
  }
  if (run.plannedAt === null) {
    throw new PermanentError(`run ${run.runId} was never planned to its end: publish ${startAnew}`)
  }
  const text = await readDocument(context.bucket, planPath(run.runId), context)
  const declaration = text === undefined ? undefined : parseDocument(PlanSchema, text).declaration
  if (text !== undefined && declaration !== context.shop.layout.fingerprint) {
    throw new PermanentError(
      `run ${run.runId} was planned with another declaration of the shop than SHOP_FILE is now: publish ${startAnew}`,
    )
  }
}

/** The shards asked for, each once, in their order. */
function pickShards(run: Run, shards: number[]): number[] {
  const count = run.shardCount ?? 0
  const unknown = shards.filter((index) => index < 0 || index >= count)
  if (unknown.length > 0) {
    throw new PermanentError(
      `run ${run.runId} has no shard ${unknown.slice(0, 10).join(", ")}: its shards are 0 to ${count - 1}`,
    )
  }
  return [...new Set(shards)].toSorted((a, b) => a - b)
}

/** All that the verdict found wanting. */
async function findWantingShards(context: RunContext, run: Run): Promise<number[]> {
  const verdict = run.verdict ? parseDocument(VerdictSchema, run.verdict) : undefined
  const faults = verdict?.faultsDocument
    ? await readFaults(context, run, verdict.faultsDocument)
    : (verdict?.faults ?? [])
  const indexes = faults.map((fault) => fault.index).filter((index) => index !== undefined)
  if (indexes.length === 0) {
    throw new PermanentError(
      `the verdict on run ${run.runId} names no shard to compute again: publish {"date":"${run.revenueDate}"} on ${topics.runRequests}`,
    )
  }
  return [...new Set(indexes)].toSorted((a, b) => a - b)
}

/** Where they are too many for a verdict. */
async function readFaults(context: RunContext, run: Run, path: string): Promise<Verdict_Fault[]> {
  const text = await readDocument(context.bucket, path, context)
  if (text === undefined) {
    throw new PermanentError(
      `${path}, which says what of run ${run.runId} is to be computed again, is not in the bucket any more: publish {"date":"${run.revenueDate}"} on ${topics.runRequests}`,
    )
  }
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => parseDocument(Verdict_FaultSchema, line))
}
