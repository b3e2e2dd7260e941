import { setTimeout as wait } from "node:timers/promises"
import { describeError } from "../errors.ts"
import { type RetryOptions, retryTransient } from "../retry.ts"
import { countThrottled } from "../telemetry/metrics.ts"
import { type BusyReason, findBusyReason, type ThrottleSettings } from "./find-busy-reason.ts"
import type { Database } from "./open-database.ts"

/** What a task, a verification or an audit asks before each piece that it reads of the shop. */
export interface Throttle {
  /**
   * Waits while the shop's server is busy. Returns false if it still is when `mayWait` says no, or at the signal: nothing
   * more should be read for now.
   */
  pass(mayWait?: () => boolean): Promise<boolean>
  /** Milliseconds waited so far, in all. */
  readonly waitedMs: number
}

export interface ThrottleContext extends RetryOptions {
  /** Where the shop is read. */
  shopDb: Database
  settings: ThrottleSettings
  /** Shows people why there is a wait; null: it is over. */
  note?: (reason: string | null) => Promise<void>
  /** Exports the metrics, if it is time. */
  flush?: () => Promise<void>
}

/** Reading a piece takes as long or longer; looking more often would cost every small one some statements. */
export const LOOK_MS = 1_000

// A connection that was lost is replaced by then. What still fails is a reason to wait, and each look of the wait tries again.
const LOOK_RETRIES_MAX = 2

/**
 * Opens the throttle of one piece of work. Work that is begun is never broken off. A look that fails, too, is a reason to wait:
 * a server that does not answer may be busier than any. All waits together last for at most `minutesMax`, so everything ends.
 */
export function openThrottle(context: ThrottleContext): Throttle {
  const { shopDb, settings, note, flush, log, signal } = context
  const { threadsRunning, replicaLagSeconds, query } = settings
  const isOn = [threadsRunning, replicaLagSeconds, query].some((setting) => setting !== undefined)
  const msMax = settings.minutesMax * 60_000
  let lookedAt = Number.NEGATIVE_INFINITY
  let waitedMs = 0

  async function look(retriesMax: number): Promise<BusyReason | undefined> {
    const options = { ...context, retriesMax }
    try {
      return await retryTransient("look whether the shop is busy", () => findBusyReason(shopDb, settings), options)
    } catch (error) {
      return { kind: "failed_look", text: `the shop's server does not say whether it is busy: ${describeError(error)}` }
    }
  }

  async function waitWhileBusy(mayWait: () => boolean): Promise<boolean> {
    const startedAt = performance.now()
    const before = waitedMs
    let told: string | undefined
    for (;;) {
      const reason = await look(told === undefined ? LOOK_RETRIES_MAX : 0)
      if (told !== undefined || reason !== undefined) waitedMs = before + performance.now() - startedAt
      const isStopped = reason !== undefined && (signal?.aborted === true || (waitedMs < msMax && !mayWait()))
      if (isStopped || reason === undefined || waitedMs >= msMax) {
        if (told !== undefined) await tellEnd(told, performance.now() - startedAt)
        return !isStopped
      }
      if (reason.text !== told) {
        log.warn({ reason: reason.text }, "the shop's server is busy: waiting")
        await note?.(reason.text).catch(() => undefined)
        told = reason.text
      }
      const waitingSince = performance.now()
      await wait(LOOK_MS, undefined, signal ? { signal } : {}).catch(() => undefined)
      countThrottled(performance.now() - waitingSince, reason.kind)
      await flush?.()
    }
  }

  async function tellEnd(reason: string, ms: number): Promise<void> {
    const isSpent = waitedMs >= msMax
    const what = isSpent
      ? "waited for THROTTLE_MINUTES_MAX in all: the shop is read however busy it is"
      : "waiting is over"
    log.warn({ reason, ms: Math.round(ms) }, what)
    await note?.(null).catch(() => undefined)
  }

  return {
    async pass(mayWait = () => true) {
      if (!isOn || waitedMs >= msMax || performance.now() - lookedAt < LOOK_MS) return true
      const isFree = await waitWhileBusy(mayWait)
      if (isFree) lookedAt = performance.now()
      return isFree
    },
    get waitedMs() {
      return waitedMs
    },
  }
}
