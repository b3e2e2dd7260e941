import { describeError } from "../../../shared/errors.ts"
import { failAudit } from "../../../shared/ledger/audits/end-audit.ts"
import { type Audit, findNextAudit } from "../../../shared/ledger/audits/find-audits.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { inTraceSpan } from "../../../shared/telemetry/tracing.ts"
import { isTransient } from "../../../shared/transient.ts"
import { type AuditContext, auditDay } from "../proof/audit-day.ts"
import type { Throttles } from "../proof/throttles.ts"
import { firstDateToRepair, type NightSettings } from "./plan-night.ts"
import { throwFailures } from "./try-each.ts"

export interface AuditsContext extends Omit<AuditContext, "throttle"> {
  log: Log
  throttles: Throttles
  night: NightSettings
  /** At its abort, the audit under way stops after its batch. */
  signal: AbortSignal
  /** Since when this process works off audits, by `performance.now()`: one at a time, so that the shop is read by one. */
  auditingSinceMs: number | undefined
  now(): Date
}

// What fails for as long as this is not going to pass.
const AUDIT_HOURS_MAX = 24

// Far longer than any budget with the batch that is under way at its end.
const AUDITING_MS_MAX = 15 * 60_000

/**
 * Carries out the audits that were asked for, one after the other, for so many milliseconds at most; what is left goes on
 * with the next call. What fails with one is logged, does not keep the others waiting, and is thrown at the end if it is to
 * be tried again.
 */
export async function workOffAudits(context: AuditsContext, budgetMs: number): Promise<void> {
  const { auditingSinceMs: since } = context
  if (since !== undefined) {
    const ms = performance.now() - since
    if (ms < AUDITING_MS_MAX) return
    throw new Error(`an audit has run for ${Math.round(ms / 60_000)} min and does not end: restart the finalizer`)
  }
  context.auditingSinceMs = performance.now()
  const deadline = performance.now() + budgetMs
  const mayGoOn = () => !context.signal.aborted && performance.now() < deadline
  const passedOver: string[] = []
  const failures: unknown[] = []
  try {
    while (mayGoOn()) {
      const audit = await findNextAudit(context.db, passedOver)
      if (!audit) break
      if (!(await workOffAudit(context, audit, mayGoOn, failures))) passedOver.push(audit.auditId)
    }
  } finally {
    context.auditingSinceMs = undefined
  }
  throwFailures(failures)
}

/** Returns false if the audit is not to be tried again for now: it failed, or another finalizer is at it. */
async function workOffAudit(
  context: AuditsContext,
  audit: Audit,
  mayGoOn: () => boolean,
  failures: unknown[],
): Promise<boolean> {
  const { auditId, revenueDate } = audit
  const throttleId = `audit ${auditId}`
  const isRepaired = revenueDate >= (firstDateToRepair(context.night, context.now()) ?? "9999")
  try {
    return await inTraceSpan("audit day", { auditId }, async () => {
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
      failures.push(error)
    } else {
      context.log.error({ auditId, error: reason }, "an audit has failed: mend the reason and ask for the date again")
      await failAudit(context.db, audit, reason)
      context.throttles.end(throttleId)
    }
    return false
  }
}
