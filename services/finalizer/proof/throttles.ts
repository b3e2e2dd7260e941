import { openThrottle, type Throttle, type ThrottleContext } from "../../../shared/database/throttle.ts"

/**
 * The throttles of verifications and audits, by their ids. One that is cut off, by the end of its sweep or a lost connection,
 * begins or continues later: what it has waited until then counts, so that a shop that is always busy cannot keep it for ever.
 */
export interface Throttles {
  of(id: string, note?: ThrottleContext["note"]): Throttle
  /** It is over. */
  end(id: string): void
}

// What another instance has ended stays here, oldest first; one that is dropped too early waits anew.
const THROTTLES_MAX = 1_000

export function openThrottles(context: Omit<ThrottleContext, "note">): Throttles {
  const throttles = new Map<string, Throttle>()
  return {
    of(id, note) {
      const known = throttles.get(id)
      if (known) return known
      const [oldest] = throttles.keys()
      if (oldest !== undefined && throttles.size >= THROTTLES_MAX) throttles.delete(oldest)
      const opened = openThrottle({ ...context, ...(note ? { note } : {}) })
      throttles.set(id, opened)
      return opened
    },
    end: (id) => void throttles.delete(id),
  }
}

/** Waits for the shop's server. Throws at the end of this process: whatever is verified begins again with the next delivery. */
export async function awaitShop(throttle: Throttle): Promise<void> {
  if (await throttle.pass()) return
  throw new Error("this process stops while the shop's server is busy: the next delivery or sweep verifies the run")
}
