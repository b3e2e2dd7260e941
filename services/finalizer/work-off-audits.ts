import type { Bucket } from "@google-cloud/storage"
import { auditPath } from "../../shared/documents/document-paths.ts"
import { createDocument } from "../../shared/documents/documents.ts"
import { describeError } from "../../shared/errors.ts"
import { listUnannouncedAudits, markAuditAnnounced } from "../../shared/ledger/announce-audit.ts"
import { failAudit } from "../../shared/ledger/end-audit.ts"
import { type Audit, findNextAudit } from "../../shared/ledger/find-audits.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import { inSpan } from "../../shared/telemetry/tracing.ts"
import { isTransient } from "../../shared/transient.ts"
import { type AuditContext, auditDay } from "./audit-day.ts"
import { firstDateToRepair, type NightSettings } from "./plan-night.ts"
import type { Throttles } from "./throttles.ts"

export interface AuditsContext extends Omit<AuditContext, "throttle"> {
  bucket: Bucket
  log: Log
  throttles: Throttles
  night: NightSettings
  /** At its abort, the audit under way stops after its batch. */
  signal: AbortSignal
  /** Whether this process is at an audit: one at a time, so that the shop is read by one. */
  isAuditing: boolean
  now(): Date
}

// What fails for as long as this is not going to pass.
const AUDIT_HOURS_MAX = 24
const ANNOUNCED_AT_ONCE_MAX = 100

/**
 * Carries out the audits that were asked for, one after the other, for so many milliseconds at most; what is left goes on
 * with the next call. What fails with one is logged and does not keep the others waiting.
 */
export async function workOffAudits(context: AuditsContext, budgetMs: number): Promise<void> {
  if (context.isAuditing) return
  context.isAuditing = true
  const deadline = performance.now() + budgetMs
  const mayGoOn = () => !context.signal.aborted && performance.now() < deadline
  const passedOver: string[] = []
  try {
    while (mayGoOn()) {
      const audit = await findNextAudit(context.db, passedOver)
      if (!audit) break
      if (!(await workOffAudit(context, audit, mayGoOn))) passedOver.push(audit.auditId)
    }
    await announceAudits(context)
  } finally {
    context.isAuditing = false
  }
}

/** Returns false if the audit is not to be tried again for now: it failed, or another finalizer is at it. */
async function workOffAudit(context: AuditsContext, audit: Audit, mayGoOn: () => boolean): Promise<boolean> {
  const { auditId, revenueDate } = audit
  const throttleId = `audit ${auditId}`
  const isRepaired = revenueDate >= (firstDateToRepair(context.night, context.now()) ?? "9999")
  try {
    return await inSpan("audit day", { auditId }, async () => {
      const throttle = context.throttles.of(throttleId)
      const outcome = await auditDay({ ...context, throttle }, audit, isRepaired, mayGoOn)
      if (outcome !== "stopped") context.throttles.end(throttleId)
      if (outcome === "ended") context.log.info({ auditId }, "an audit has ended")
      return outcome !== "overtaken"
    })
  } catch (error) {
    const reason = describeError(error)
    const isOld = context.now().getTime() - audit.requestedAt.getTime() > AUDIT_HOURS_MAX * 3_600_000
    if (isTransient(error) && !isOld) {
      context.log.warn({ auditId, error: reason }, "an audit could not go on and is tried again")
    } else {
      context.log.error({ auditId, error: reason }, "an audit has failed: mend the reason and ask for the date again")
      await failAudit(context.db, audit, reason)
      context.throttles.end(throttleId)
    }
    return false
  }
}

/** Writes the documents of audits that have ended; done again, it writes the same. */
async function announceAudits(context: AuditsContext): Promise<void> {
  for (const audit of await listUnannouncedAudits(context.db, ANNOUNCED_AT_ONCE_MAX)) {
    const { auditId, revenueDate, auditedAt, requestId, document } = audit
    if (auditedAt && document) {
      await createDocument(context.bucket, auditPath(revenueDate, auditedAt, requestId), document, context)
    }
    await markAuditAnnounced(context.db, auditId)
  }
}
