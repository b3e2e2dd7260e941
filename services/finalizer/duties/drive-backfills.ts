import type { Topic } from "@google-cloud/pubsub"
import type { Bucket } from "@google-cloud/storage"
import { VerdictSchema } from "../../../schemas/documents/verdict_pb.ts"
import { formatJson, parseDocument, parseJson } from "../../../schemas/json.ts"
import { RunRequestSchema } from "../../../schemas/messages/run_request_pb.ts"
import { RunVerdictSchema } from "../../../schemas/messages/run_verdict_pb.ts"
import { askerFields } from "../../../shared/asker.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { rejectionPath } from "../../../shared/documents/document-paths.ts"
import { readDocument } from "../../../shared/documents/documents.ts"
import { backfillCause } from "../../../shared/ledger/backfills/backfill-cause.ts"
import {
  type Backfill,
  type BackfillDay,
  countBackfillDays,
  endBackfill,
  findRunOfDay,
  hasUnfinishedRun,
  listAskedDays,
  listDaysToRequest,
  listOpenBackfills,
  moveBackfillDay,
} from "../../../shared/ledger/backfills/backfills.ts"
import { isUnfinished } from "../../../shared/ledger/runs/run-transitions.ts"
import { CAUSE_ATTRIBUTE, topics } from "../../../shared/messages/topics.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { tryEach } from "./try-each.ts"

export interface BackfillContext {
  db: Database
  bucket: Bucket
  log: Log
  /** The topic of run requests. */
  runRequests: Topic
  now(): Date
}

// A request becomes a run within a second, or is rejected. One that did neither is still on its way, or was lost; one
// without an id was most likely never sent, its finalizer having died just then. Of two the planner takes one: both have
// the same cause.
const ASKED_AGAIN_MS = 2 * 60_000
const SENT_AGAIN_MS = 10_000

// The next sweep repeats what fails.
const RETRIES_MAX = 1

/**
 * Brings every backfill as far as it can go: takes in what has become of the days that were asked for, and asks for the
 * next ones, never more at once than it says. All of it is in the ledger: whoever drives, and however many at once, each
 * day is asked for once. What fails with one day keeps no other waiting, nor other backfills.
 */
export async function driveBackfills(context: BackfillContext): Promise<void> {
  const { db } = context
  await tryEach(await listOpenBackfills(db), async (backfill) => {
    const takeInAll = async () =>
      tryEach(await listAskedDays(db, backfill.backfillId), (day) => takeIn(context, backfill, day))
    const steps = backfill.state === "at-work" ? [takeInAll, () => askForNext(context, backfill)] : [takeInAll]
    await tryEach(steps, (step) => step())
  })
}

/** What has become of a day that was asked for. */
async function takeIn(context: BackfillContext, backfill: Backfill, day: BackfillDay): Promise<void> {
  const { db } = context
  // Looked for first: a run that was at work before there was one of this day is another one.
  const isAtWork = await hasUnfinishedRun(db, day.revenueDate)
  const run = await findRunOfDay(db, day)
  if (run && isUnfinished(run.state)) return
  if (run) {
    const verdict = run.verdict === null ? undefined : parseDocument(VerdictSchema, run.verdict)
    const isDone = run.state === "complete"
    const reason = isDone ? null : `${run.state}: ${verdict?.reason ?? "without a reason"}`
    await moveBackfillDay(db, day, { state: isDone ? "done" : "failed", reason })
    return
  }
  const rejection = await findRejection(context, day)
  if (rejection !== undefined) {
    await moveBackfillDay(db, day, { state: "failed", reason: `rejected: ${rejection}` })
  } else if (isAtWork) {
    // Somebody else's run was the first: the planner has passed over the request, or will.
    await moveBackfillDay(db, day, { state: "waiting", requestId: null })
  } else if (isToBeAskedAgain(day, context.now())) {
    if (await moveBackfillDay(db, day, { state: "asked" })) await requestDay(context, backfill, day)
  }
}

function isToBeAskedAgain({ askedAt, requestId }: BackfillDay, now: Date): boolean {
  const patienceMs = requestId === null ? SENT_AGAIN_MS : ASKED_AGAIN_MS
  return askedAt !== null && now.getTime() - askedAt.getTime() > patienceMs
}

async function findRejection(
  { bucket, log }: BackfillContext,
  { requestId }: BackfillDay,
): Promise<string | undefined> {
  if (requestId === null) return undefined
  const path = rejectionPath(topics.runRequests, requestId)
  const text = await readDocument(bucket, path, { log, retriesMax: RETRIES_MAX })
  return text === undefined ? undefined : (parseJson(RunVerdictSchema, text).reason ?? "without a reason")
}

async function askForNext(context: BackfillContext, backfill: Backfill): Promise<void> {
  const { db, log } = context
  const { backfillId, runsAtOnce } = backfill
  for (const day of await listDaysToRequest(db, backfillId, runsAtOnce)) {
    // Counted anew each time: another finalizer may be at it, too.
    if ((await countBackfillDays(db, backfillId)).asked >= runsAtOnce) return
    if (await moveBackfillDay(db, day, { state: "asked" })) await requestDay(context, backfill, day)
  }
  const { done, failed, asked, waiting: left } = await countBackfillDays(db, backfillId)
  if (asked + left === 0 && (await endBackfill(db, backfillId, "ended"))) {
    log[failed === 0 ? "info" : "error"]({ backfillId, done, failed }, "a backfill has ended")
  }
}

async function requestDay({ db, runRequests }: BackfillContext, backfill: Backfill, day: BackfillDay): Promise<void> {
  const { backfillId, askedBy, note } = backfill
  const requestId = await runRequests.publishMessage({
    data: Buffer.from(formatJson(RunRequestSchema, { date: day.revenueDate })),
    attributes: {
      [CAUSE_ATTRIBUTE]: backfillCause(day.revenueDate, backfillId),
      ...askerFields({ askedBy, via: "backfill", note }),
    },
  })
  await moveBackfillDay(db, { ...day, state: "asked" }, { requestId })
}
