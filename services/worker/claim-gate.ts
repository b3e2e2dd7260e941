import { setTimeout as wait } from "node:timers/promises"
import type { Database } from "../../shared/database/open-database.ts"
import { findPause, markRunPaused, noteThrottled } from "../../shared/ledger/pause.ts"
import { type RetryOptions, retryTransient } from "../../shared/retry.ts"
import { countThrottled } from "../../shared/telemetry/metrics.ts"
import { findBusyReason, type ThrottleSettings } from "./find-busy-reason.ts"

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
  shop: Database
  runId: string
  throttle: ThrottleSettings
  /** Exports the metrics, if it is time. */
  flush: () => Promise<void>
}

// A shard takes as long or longer; looking more often would cost every small one a statement.
export const LOOK_MS = 1_000

/** Work that is begun is never broken off: only claims wait, or end. */
export function openClaimGate(context: GateContext): ClaimGate {
  const { db, runId, throttle, flush, log, signal } = context
  let lookedAt = Number.NEGATIVE_INFINITY
  let isClosed = false

  async function look(): Promise<void> {
    const pause = await retryTransient("look whether everything pauses", () => findPause(db), context)
    if (!pause) return waitWhileBusy()
    isClosed = true
    await retryTransient("write down that the run pauses", () => markRunPaused(db, runId), context)
    log.warn({ since: pause.changedAt, askedBy: pause.askedBy, note: pause.note }, "everything pauses; the task ends")
  }

  async function waitWhileBusy(): Promise<void> {
    const startedAt = performance.now()
    let told: string | undefined
    for (;;) {
      const reason = await findBusyReason(context.shop, throttle)
      const waitedMs = performance.now() - startedAt
      const isOver = reason === undefined || waitedMs > throttle.minutesMax * 60_000 || signal?.aborted === true
      if (isOver) break
      if (reason.text !== told) {
        log.warn({ reason: reason.text }, "the database is busy, and the task waits")
        await noteThrottled(db, runId, reason.text).catch(() => undefined)
        told = reason.text
      }
      const waitingSince = performance.now()
      await wait(LOOK_MS, undefined, signal ? { signal } : {}).catch(() => undefined)
      countThrottled(performance.now() - waitingSince, reason.kind)
      await flush()
    }
    if (told === undefined) return
    const ms = Math.round(performance.now() - startedAt)
    log.warn({ reason: told, ms }, "the task goes on")
    await noteThrottled(db, runId, null).catch(() => undefined)
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
