import { type AnnounceAuditsContext, createAuditAnnouncing } from "./announce-audits.ts"
import { createRetention, type RetentionContext } from "./delete-expired.ts"
import { type BackfillContext, driveBackfills } from "./drive-backfills.ts"
import type { Duty } from "./duty.ts"
import { fillGaps, type GapContext } from "./fill-gaps.ts"
import { createRunCare, type RunCareContext } from "./look-after-runs.ts"
import { type NightContext, planNight } from "./plan-night.ts"
import { createPruning, type PruneContext } from "./prune-versions.ts"
import { type NumbersContext, recordDayMetrics } from "./record-numbers.ts"
import { type RepairContext, repairDay } from "./request-repairs.ts"
import { startWaiting, type WaitingContext } from "./start-waiting.ts"
import { type DeadlineContext, watchDeadline } from "./watch-deadline.ts"
import { type AuditsContext, workOffAudits } from "./work-off-audits.ts"

export type DutyContext = RunCareContext &
  WaitingContext &
  DeadlineContext &
  GapContext &
  BackfillContext &
  PruneContext &
  RetentionContext &
  NightContext &
  AuditsContext &
  AnnounceAuditsContext &
  RepairContext &
  NumbersContext

// The shop is read; the sweep has other duties, and comes again.
const AUDITS_PER_SWEEP_MS = 20_000

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const EACH_SWEEP = 0

/** A few statements or messages: they take milliseconds where everybody answers. */
const SHORT = { everyMs: EACH_SWEEP, limitMs: MINUTE_MS }
/** Reads of the shop, or a request for each of many items. */
const LONG = { everyMs: EACH_SWEEP, limitMs: 5 * MINUTE_MS }

/** What the sweep does, in the order in which it starts it. */
export function listDuties(context: DutyContext): Duty[] {
  return [
    { name: "look-after-runs", ...LONG, run: createRunCare(context) },
    { name: "start-waiting", ...SHORT, run: () => startWaiting(context) },
    { name: "watch-deadline", ...SHORT, run: () => watchDeadline(context) },
    { name: "fill-gaps", ...SHORT, run: () => fillGaps(context) },
    { name: "drive-backfills", ...LONG, run: () => driveBackfills(context) },
    { name: "prune-versions", ...LONG, run: createPruning(context) },
    // Nothing expires to the minute.
    { name: "delete-expired", everyMs: HOUR_MS, limitMs: LONG.limitMs, run: createRetention(context) },
    { name: "plan-night", ...SHORT, run: () => planNight(context) },
    { name: "work-off-audits", ...LONG, run: () => workOffAudits(context, AUDITS_PER_SWEEP_MS) },
    { name: "announce-audits", ...LONG, run: createAuditAnnouncing(context) },
    { name: "send-day-changes", ...LONG, run: () => context.sendDayChanges() },
    { name: "repair-days", ...SHORT, run: () => repairDay(context) },
    { name: "record-numbers", ...SHORT, run: () => recordDayMetrics(context) },
  ]
}
