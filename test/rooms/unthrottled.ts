import type { Throttles } from "../../services/finalizer/throttles.ts"
import type { Throttle } from "../../shared/database/throttle.ts"

/** Of a shop whose server is never busy. */
export const unthrottled: Throttle = { pass: async () => true, waitedMs: 0 }

export const noThrottles: Throttles = { of: () => unthrottled, end: () => undefined }
