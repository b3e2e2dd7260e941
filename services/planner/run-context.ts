import type { PlanContext } from "./plan-shards.ts"
import type { RejectionContext } from "./reject-request.ts"

/** What the planner works with, from its start to its end. */
export interface RunContext extends PlanContext, RejectionContext {
  timeZone: string
}
