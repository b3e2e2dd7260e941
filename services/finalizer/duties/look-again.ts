import { describeError } from "../../../shared/errors.ts"
import { type AnnounceAuditsContext, createAuditAnnouncing } from "./announce-audits.ts"
import { type RepairContext, repairDay } from "./request-repairs.ts"
import { type AuditsContext, workOffAudits } from "./work-off-audits.ts"

export interface LookAgainContext extends AuditsContext, AnnounceAuditsContext, RepairContext {
  /** Sends what has changed on published days. */
  sendDayChanges: () => Promise<void>
}

/**
 * Looks at published days again, as far as that was asked for: audits for so many milliseconds at most, then the messages
 * and the repair that follow from them. What fails is logged and goes on with the next sweep, for all of it is in the
 * ledger.
 */
export async function lookAgain(context: LookAgainContext, budgetMs: number): Promise<void> {
  const steps = [
    () => workOffAudits(context, budgetMs),
    createAuditAnnouncing(context),
    context.sendDayChanges,
    () => repairDay(context),
  ]
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      context.log.warn({ error: describeError(error) }, "a look at published days could not go on and is tried again")
    }
  }
}
