import { dutyEffects, type FailingDuty } from "./duties.ts"

/** A failing duty as a document has it: what fails, since when, why, and what a person does about it. */
export function describeDuty({ name, failures, failingSince, lastError, succeededAt }: FailingDuty) {
  return {
    name,
    effect: dutyEffects[name],
    failures,
    failingSince,
    lastError: lastError ?? "no reason was recorded",
    succeededAt,
    next: `Fix the cause. The sweep retries the duty every minute, and one success ends this. The finalizer's log has each failure: jsonPayload.duty="${name}".`,
  }
}
