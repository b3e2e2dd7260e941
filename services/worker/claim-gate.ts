import type { ThrottleSettings } from "../../shared/database/find-busy-reason.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { LOOK_MS, openThrottle } from "../../shared/database/throttle.ts"
import { findPause, markRunPaused, noteThrottled } from "../../shared/ledger/pauses/pause.ts"
import { type RetryOptions, retryTransient } from "../../shared/retry.ts"

/** Asked before each claim of a shard that nobody has. */
export interface ClaimGate {
  /** Waits while the database is busy. False: nothing more is to be claimed, as everything pauses. */
  pass(): Promise<boolean>
  /** It was false, once. */
  readonly isClosed: boolean
}

interface GateContext extends RetryOptions {
  db: Database
  /** Where the shop is read. */
  shopDb: Database
  runId: string
  throttle: ThrottleSettings
  /** Exports the metrics, if it is time. */
  flush: () => Promise<void>
}

/** Work that is begun is never broken off: only claims wait, or end. */
export function openClaimGate(context: GateContext): ClaimGate {
  const { db, runId, log } = context
  const note = (reason: string | null) => noteThrottled(db, runId, reason)
  const throttle = openThrottle({ ...context, settings: context.throttle, note })
  let lookedAt = Number.NEGATIVE_INFINITY
  let isClosed = false

  async function look(): Promise<void> {
    const pause = await retryTransient("look whether everything pauses", () => findPause(db), context)
    if (!pause) {
      // False at the signal alone, which ends the task.
      await throttle.pass()
      return
    }
    isClosed = true
    await retryTransient("write down that the run pauses", () => markRunPaused(db, runId), context)
    log.warn({ since: pause.changedAt, askedBy: pause.askedBy, note: pause.note }, "everything pauses; the task ends")
  }

  return {
    async pass() {
      if (!isClosed && performance.now() - lookedAt > LOOK_MS) {
        await look()
        lookedAt = performance.now()
      }
      return !isClosed
    },
    get isClosed() {
      return isClosed
    },
  }
}
