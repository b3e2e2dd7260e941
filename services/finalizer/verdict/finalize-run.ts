import type { PubSub, Topic } from "@google-cloud/pubsub"
import { type Verdict, VerdictSchema } from "../../../schemas/documents/verdict_pb.ts"
import { parseDocument } from "../../../schemas/json.ts"
import { type Asker, nobody } from "../../../shared/asker.ts"
import { faultsPath, laterVerdictPath, verdictPath } from "../../../shared/documents/document-paths.ts"
import { replaceDocument, streamDocument } from "../../../shared/documents/documents.ts"
import { describeError } from "../../../shared/errors.ts"
import { markAnnounced } from "../../../shared/ledger/runs/announce-run.ts"
import { closeRun } from "../../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../../shared/ledger/runs/decide-run.ts"
import { findDispatch } from "../../../shared/ledger/runs/find-dispatches.ts"
import { findRun, isOfBackfill, type Run, type ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { deleteRunSubscription } from "../../../shared/messages/run-subscription.ts"
import { sendVerdict } from "../../../shared/messages/send-verdict.ts"
import { recordVerdict } from "../../../shared/telemetry/metrics.ts"
import { inTraceSpan, noteFields } from "../../../shared/telemetry/tracing.ts"
import { isLasting } from "../../../shared/transient.ts"
import { composeMessage, composeVerdict, FAULTS_MAX, formatFault, stateOf } from "./compose-verdict.ts"
import type { Finding } from "./judge-run.ts"
import { asUnverified, LASTING_ERROR_MS_MAX, type Verification, type VerifyContext, verifyRun } from "./verify-run.ts"

export interface FinalizeContext extends VerifyContext {
  pubsub: PubSub
  verdicts: Topic
  /** Sends what has changed on published days. */
  sendDayChanges: () => Promise<void>
  /** Tells the planner that there may be room for runs that wait. */
  startWaiting: () => Promise<void>
  /** Brings every backfill as far as it can go. */
  driveBackfills: () => Promise<void>
  /** Runs that this process is finalizing: a delivery or sweep that comes meanwhile waits for the same outcome. */
  underWay: Map<string, Promise<void>>
}

/**
 * Takes a run whose dispatch is over to its announced verdict, from wherever it stands: closes it, verifies it,
 * decides, announces. Several finalizers may do this at once: looking changes nothing, one of them decides, and what
 * is announced is what was decided.
 */
export async function finalizeRun(context: FinalizeContext, runId: string): Promise<void> {
  const begun = context.underWay.get(runId)
  if (begun) return begun
  const finalizing = inTraceSpan("finalize run", { runId }, () => finalize(context, runId)).finally(() =>
    context.underWay.delete(runId),
  )
  context.underWay.set(runId, finalizing)
  return finalizing
}

async function finalize(context: FinalizeContext, runId: string): Promise<void> {
  const run = await findRun(context.db, runId)
  if (!run) return
  await closeRun(context.db, run)
  // From here on no task works for it: there is room for another.
  await context.startWaiting()
  await decide(context, runId)
  await announceVerdict(context, runId)
  if (isOfBackfill(run)) await context.driveBackfills()
}

async function decide(context: FinalizeContext, runId: string): Promise<void> {
  const found = await findRun(context.db, runId)
  if (found?.state !== "verifying") return
  const run = { ...found, shop: context.shop }
  const dispatch = await findDispatch(context.db, runId, run.dispatch)
  noteFields({ dispatch: run.dispatch })
  const verification = await verifyRun(context, run)
  try {
    await record(context, run, dispatch ?? run, verification)
  } catch (error) {
    const since = run.verifyingAt ?? run.requestedAt
    if (!isLasting(error) || context.now().getTime() - since.getTime() < LASTING_ERROR_MS_MAX) throw error
    // Something in it is more than the ledger can keep, but that must not lock the date.
    const reason = `its verdict cannot be recorded, tried since ${since.toISOString()}: ${describeError(error)}`
    await record(context, run, { ...nobody, requestId: (dispatch ?? run).requestId }, asUnverified(reason))
  }
}

/** Decides by what verification came to, if nobody else has. */
async function record(
  context: FinalizeContext,
  run: ShopRun,
  request: Asker & { requestId: string },
  verification: Verification,
): Promise<void> {
  const { findings, seen } = verification
  const faults = findings.length > FAULTS_MAX ? await writeFaults(context, run, findings) : undefined
  const verdict = composeVerdict(run, request, verification, context.now(), faults)
  const state = stateOf(verification)
  if (!(await decideRun(context.db, run, { state, verdict, totals: seen?.revenue }))) return
  noteFields({ verdict: state })
  const first = findings.slice(0, 10).map(({ index, kind, reason }) => ({ index, kind, reason }))
  const objections = verification.objections.map(({ name, severity }) => `${name} (${severity})`)
  context.log[state === "complete" ? "info" : "error"]({ findings: first, objections }, "a run has its verdict")
}

/** Writes all that a verdict finds, where it is more than the verdict can say. */
async function writeFaults(context: FinalizeContext, run: Run, findings: Finding[]): Promise<string> {
  const path = faultsPath(run.runId, run.dispatch, context.now())
  async function* lines() {
    for (const finding of findings) yield `${formatFault(finding)}\n`
  }
  return streamDocument(context.bucket, path, lines, context)
}

/** Brings a decided verdict to the bucket and its topic; done again, it says the same. */
export async function announceVerdict(context: FinalizeContext, runId: string): Promise<void> {
  const run = await findRun(context.db, runId)
  if (!run?.verdict || run.announcedAt !== null) return
  const verdict = parseDocument(VerdictSchema, run.verdict)
  const written = await writeVerdict(context, run, run.verdict, verdict)
  if (written === "superseded") return
  if (run.state !== "incomplete") await deleteRunSubscription(context.pubsub, runId)
  const message = composeMessage(context.shop, verdict, written && `gs://${context.bucket.name}/${written.path}`)
  await inTraceSpan("send run-verdicts", {}, () => sendVerdict(context.verdicts, message), { kind: "producer" })
  if (await markAnnounced(context.db, run)) await recordRunMetrics(context, run, verdict)
  if (run.state !== "cancelled") await context.sendDayChanges()
}

/**
 * Writes the document of a verdict. Returns where it is; undefined if the bucket has refused it for too long, for people are
 * to hear of a verdict whatever the bucket is like, and the ledger has it.
 */
async function writeVerdict(
  context: FinalizeContext,
  run: Run,
  text: string,
  verdict: Verdict,
): Promise<{ path: string } | "superseded" | undefined> {
  const { runId } = run
  // A day that was held and is released has another verdict on the same dispatch.
  const isOlder = async (existing: string) => {
    const { dispatch, verdict: said } = parseDocument(VerdictSchema, existing)
    const isReleased = dispatch === verdict.dispatch && said === "held" && verdict.verdict !== "held"
    if (dispatch < verdict.dispatch || isReleased) return true
    // Else a rerun has been opened and decided meanwhile, so that this one was announced before: the ledger knows of it,
    // unless it went back in time, by a restore or a failover that lost commits.
    const known = await findRun(context.db, runId)
    if (known?.verdict !== text || known.announcedAt !== null) return false
    context.log.warn({ dispatch }, "a verdict is newer than the ledger, which went back in time, and is replaced")
    return true
  }
  const paths = { path: verdictPath(runId), beside: laterVerdictPath(runId, verdict.dispatch, verdict.verdict) }
  try {
    const path = await replaceDocument(context.bucket, paths, text, isOlder, context)
    return path === undefined ? "superseded" : { path }
  } catch (error) {
    const decidedMs = run.decidedAt?.getTime() ?? 0
    if (!isLasting(error) || context.now().getTime() - decidedMs < LASTING_ERROR_MS_MAX) throw error
    const what = { runId, path: paths.path, error: describeError(error) }
    context.log.error(what, "the bucket refuses a verdict, which is sent without its document: the ledger has it")
    return undefined
  }
}

/** What the metrics say of a verdict. Those of a dispatch are its own: a rerun plans nothing. */
async function recordRunMetrics(context: FinalizeContext, run: Run, verdict: Verdict): Promise<void> {
  const isRerun = run.dispatch > 0
  const rerun = isRerun ? await findDispatch(context.db, run.runId, run.dispatch) : undefined
  const begunAt = isRerun ? (rerun?.openedAt ?? null) : run.begunAt
  recordVerdict({
    verdict: verdict.verdict,
    durationMs: msBetween(isRerun ? begunAt : run.requestedAt, run.decidedAt),
    phasesMs: {
      planning: isRerun ? undefined : msBetween(begunAt, run.plannedAt),
      computing: msBetween(begunAt, run.verifyingAt),
      verifying: msBetween(run.verifyingAt, run.decidedAt),
      announcing: msBetween(run.decidedAt, context.now()),
    },
    shards: verdict.shards,
    purchases: Number(verdict.source?.purchases ?? 0n),
  })
}

/** Clocks differ by a little: never less than nothing. */
function msBetween(from: Date | null, to: Date | null): number | undefined {
  return from && to ? Math.max(0, to.getTime() - from.getTime()) : undefined
}
