import type { FinalizeContext } from "../../services/finalizer/finalize-run.ts"
import type { PlannerRoom } from "./planner-room.ts"
import { noThrottles } from "./unthrottled.ts"

const VERIFYING_MS_MAX = 3_600_000

/** A finalizer in a planner's surroundings, whose clock is ahead by so much. */
export function openFinalizeContext(
  { context }: PlannerRoom,
  { elapsedMs = 0, ...overrides }: Partial<FinalizeContext> & { elapsedMs?: number } = {},
): FinalizeContext {
  return {
    ...context,
    sendDayChanges: async () => {},
    checks: [],
    startWaiting: async () => {},
    driveBackfills: async () => {},
    underWay: new Map(),
    verifyingMsMax: VERIFYING_MS_MAX,
    throttles: noThrottles,
    signal: new AbortController().signal,
    now: () => new Date(Date.now() + elapsedMs),
    ...overrides,
  }
}
