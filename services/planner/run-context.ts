import type { ReadOptions } from "../../shared/day/choose-read.ts"
import type { RejectionContext } from "../../shared/messages/reject-request.ts"
import type { PlanContext } from "./plan-shards.ts"

/** What the planner works with, from its start to its end. */
export interface RunContext extends PlanContext, RejectionContext, ReadOptions {
  timeZone: string
  /** How many runs may be at work at once; the others wait. */
  runsMax: number
}
