import { setTimeout as wait } from "node:timers/promises"

/** A try of something that may outlast whoever awaits it. */
export interface Attempt<T> {
  /** By `performance.now()`. */
  startedMs: number
  /** Undefined while it runs. */
  outcome: { value: T } | { error: unknown } | undefined
  /** Never rejects. */
  ended: Promise<void>
}

export function beginAttempt<T>(work: () => Promise<T>): Attempt<T> {
  const attempt: Attempt<T> = { startedMs: performance.now(), outcome: undefined, ended: Promise.resolve() }
  attempt.ended = (async () => {
    try {
      attempt.outcome = { value: await work() }
    } catch (error) {
      attempt.outcome = { error }
    }
  })()
  return attempt
}

// A timer may fire a fraction of a millisecond early: whoever waits until a limit finds it passed afterwards.
const TIMER_EARLY_MS = 1

/** Waits until an attempt has ended, but no longer than this. */
export async function awaitAttempt({ ended }: Attempt<unknown>, ms: number): Promise<void> {
  const given = new AbortController()
  const late = wait(Math.max(0, Math.ceil(ms) + TIMER_EARLY_MS), undefined, { signal: given.signal }).catch(
    () => undefined,
  )
  await Promise.race([ended, late])
  given.abort()
}
