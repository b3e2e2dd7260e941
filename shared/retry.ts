import pRetry from "p-retry"
import { describeError } from "./errors.ts"
import type { Log } from "./telemetry/log.ts"
import { isTransient } from "./transient.ts"

/** Nine tries within about a minute: as long as a database restart or a failover takes. */
const RETRIES_MAX = 8
const BACKOFF_MIN_MS = 200
const BACKOFF_MAX_MS = 15_000

export interface RetryOptions {
  log: Log
  signal?: AbortSignal
  /** Further tries after the first. */
  retriesMax?: number
  /** Milliseconds after which a try that is not answered has failed; whatever it calls decides by default. */
  deadlineMs?: number
}

/**
 * Calls until it succeeds, fails for good, or the retries are used up; then the last error is thrown. Backoff is
 * exponential, capped and jittered. `what` names the call and its id for the log.
 */
export async function retryTransient<T>(what: string, call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { deadlineMs } = options
  return pRetry(deadlineMs === undefined ? call : () => withDeadline(call, deadlineMs), {
    retries: options.retriesMax ?? RETRIES_MAX,
    factor: 2,
    minTimeout: BACKOFF_MIN_MS,
    maxTimeout: BACKOFF_MAX_MS,
    randomize: true,
    ...(options.signal ? { signal: options.signal } : {}),
    shouldRetry: ({ error }) => isTransient(error),
    onFailedAttempt: ({ error, attemptNumber, retriesLeft }) => {
      if (isTransient(error) && retriesLeft > 0) {
        options.log.warn({ what, try: attemptNumber, error: describeError(error) }, "a call failed and is tried again")
      }
    },
  })
}

/** Fails, as what may be tried again, where a call is not answered in time. The call itself goes on: it must be one that may be made twice. */
async function withDeadline<T>(call: () => Promise<T>, ms: number): Promise<T> {
  const { promise: deadline, reject } = Promise.withResolvers<never>()
  const isLate = () =>
    reject(Object.assign(new Error(`it was not answered within ${ms / 1000} s`), { code: "ETIMEDOUT" }))
  const timer = setTimeout(isLate, ms)
  try {
    return await Promise.race([call(), deadline])
  } finally {
    clearTimeout(timer)
  }
}
