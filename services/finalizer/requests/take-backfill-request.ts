import { type BackfillKind, backfillKinds } from "../../../schemas/database/ledger.ts"
import { parseJson } from "../../../schemas/json.ts"
import { type BackfillRequest, BackfillRequestSchema } from "../../../schemas/messages/backfill_request_pb.ts"
import { readAsker } from "../../../shared/asker.ts"
import { checkDate, checkDates, findYesterday } from "../../../shared/day/revenue-day.ts"
import { PermanentError } from "../../../shared/errors.ts"
import { createBackfill, findBackfill, listDatesToFill } from "../../../shared/ledger/backfills/backfills.ts"
import { backfillOrders, RUNS_AT_ONCE, RUNS_AT_ONCE_MAX } from "../../../shared/messages/person-requests.ts"
import type { PushMessage } from "../../../shared/messages/push-server.ts"
import { type RejectionContext, refuseAgain, rejectOrThrow } from "../../../shared/messages/reject-request.ts"
import { topics } from "../../../shared/messages/topics.ts"
import { type BackfillContext, driveBackfills } from "../duties/drive-backfills.ts"

export interface BackfillRequestContext extends BackfillContext, RejectionContext {
  night: { REVENUE_TIME_ZONE: string }
}

/**
 * Takes a request for many dates: they are written down as they are now, whatever day it is when their turn comes. What can
 * never be filled is rejected.
 */
export async function takeBackfillRequest(context: BackfillRequestContext, message: PushMessage): Promise<void> {
  const { db, log } = context
  try {
    if ((await findBackfill(db, message.id)) === undefined) {
      await refuseAgain(context, topics.backfillRequests, message)
      const request = readRequest(parseJson(BackfillRequestSchema, message.data), context)
      const { from, to, which, runsAtOnce } = request
      const { dates } = await listDatesToFill(db, request)
      if (dates.length === 0)
        throw new PermanentError(`no date from ${from} to ${to} is ${which}: there is nothing to do`)
      const backfill = { backfillId: message.id, fromDate: from, toDate: to, which, runsAtOnce }
      const asker = readAsker(message.attributes)
      await createBackfill(
        db,
        { ...backfill, ...asker, requestedAt: message.publishedAt },
        request.isNewestFirst ? dates.toReversed() : dates,
      )
      log.info({ ...backfill, ...asker, dates: dates.length }, "a backfill is begun")
    }
    await driveBackfills(context)
  } catch (error) {
    await rejectOrThrow(context, topics.backfillRequests, message, error)
  }
}

function readRequest(request: BackfillRequest, context: BackfillRequestContext) {
  const { which = "missing", order = "newest-first", runsAtOnce = RUNS_AT_ONCE } = request
  const { from, to } = request
  const yesterday = findYesterday(context.now(), context.night.REVENUE_TIME_ZONE).date
  // First: a date that is far ahead is too far for another reason, too.
  if (checkDate(to) > yesterday) {
    throw new PermanentError(`the date ${to} has not ended yet: the last that has is ${yesterday}`)
  }
  checkDates(from, to)
  if (!isKind(which))
    throw new PermanentError(`"which" is none of ${backfillKinds.join(", ")}: ${JSON.stringify(which)}`)
  if (!backfillOrders.some((known) => known === order)) {
    throw new PermanentError(`"order" is neither ${backfillOrders.join(" nor ")}: ${JSON.stringify(order)}`)
  }
  if (runsAtOnce < 1 || runsAtOnce > RUNS_AT_ONCE_MAX) {
    throw new PermanentError(`"runsAtOnce" is not from 1 to ${RUNS_AT_ONCE_MAX}: ${runsAtOnce}`)
  }
  return { from, to, which, isNewestFirst: order === "newest-first", runsAtOnce }
}

const isKind = (which: string): which is BackfillKind => backfillKinds.some((kind) => kind === which)
