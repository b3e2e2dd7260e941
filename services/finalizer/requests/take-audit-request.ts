import { parseJson } from "../../../schemas/json.ts"
import { type AuditRequest, AuditRequestSchema } from "../../../schemas/messages/audit_request_pb.ts"
import { checkDate, checkDates, findYesterday } from "../../../shared/day/revenue-day.ts"
import { PermanentError } from "../../../shared/errors.ts"
import { listAuditsOfRequest, listPublishedDates } from "../../../shared/ledger/audits/find-audits.ts"
import { requestAudits } from "../../../shared/ledger/audits/request-audits.ts"
import type { PushMessage } from "../../../shared/messages/push-server.ts"
import { type RejectionContext, refuseAgain, rejectOrThrow } from "../../../shared/messages/reject-request.ts"
import { topics } from "../../../shared/messages/topics.ts"
import { noteFields } from "../../../shared/telemetry/tracing.ts"
import type { AuditsContext } from "../duties/work-off-audits.ts"

/**
 * Takes a request for audits: one row in the ledger for each published date. They are carried out afterwards, and by the
 * sweep, so the message is acknowledged as soon as the rows are there. Rejects what can never be audited.
 */
export async function takeAuditRequest(context: AuditsContext & RejectionContext, message: PushMessage): Promise<void> {
  const { db } = context
  let date: string | undefined
  try {
    // The days that are published may be others by now: the same message is the same request.
    if ((await listAuditsOfRequest(db, message.id)).length > 0) return
    await refuseAgain(context, topics.auditRequests, message)
    const request = parseJson(AuditRequestSchema, message.data)
    date = request.date
    const { from, to } = readDates(request, message.publishedAt, context.night.REVENUE_TIME_ZONE)
    const dates = await listPublishedDates(db, from, to)
    if (dates.length === 0) {
      const what = from === to ? `the date ${from} is not` : `no date from ${from} to ${to} is`
      throw new PermanentError(
        `${what} published, so there is nothing to audit: start it with {"date":…} on ${topics.runRequests}`,
      )
    }
    await requestAudits(db, message.id, dates, message.publishedAt)
    noteFields({ audits: dates.length })
    context.log.info({ messageId: message.id, from, to, audits: dates.length }, "audits are asked for")
  } catch (error) {
    await rejectOrThrow(context, topics.auditRequests, message, error, { date })
  }
}

function readDates(
  { date, from, to }: AuditRequest,
  publishedAt: Date,
  timeZone: string,
): { from: string; to: string } {
  if (date !== undefined && from === undefined && to === undefined) {
    const day = date === "yesterday" ? findYesterday(publishedAt, timeZone).date : checkDate(date)
    return { from: day, to: day }
  }
  if (date !== undefined || from === undefined || to === undefined) {
    throw new PermanentError(`an audit is of {"date":…} or of {"from":…,"to":…}`)
  }
  checkDates(from, to)
  return { from, to }
}
