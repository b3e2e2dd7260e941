import type { DutyName, DutyRecord } from "../../../shared/ledger/duties/duties.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { continueTrace, currentSpan, noteFields } from "../../../shared/telemetry/tracing.ts"
import { type Attempt, awaitAttempt, beginAttempt } from "./attempt.ts"
import type { Duty } from "./duty.ts"

export interface RunnerOptions {
  log: Log
  /** Says of an error what a person needs to know. */
  explain: (error: unknown) => string
  now: () => Date
  /** At its abort no further duty is started. */
  signal: AbortSignal
  /** Milliseconds after which the next duty starts beside one that still runs. */
  turnMs?: number
  /** Milliseconds after which a sweep is answered, whatever still runs. */
  answerMs?: number
}

/** What a sweep came to. */
export interface SweepResult {
  /** What ended, or passed its limit, since the sweep before. */
  records: DutyRecord[]
  /** Duties that failed. */
  failed: DutyName[]
  /** Duties that run on, within their limits. */
  running: DutyName[]
}

// One after the other, duties share the database's few connections with the messages; most take milliseconds.
const TURN_MS = 2_000

// Cloud Scheduler calls every minute, and not while a call is open: a longer sweep would delay every duty.
const ANSWER_MS = 40_000

interface DutyState {
  duty: Duty
  /** The newest; it may still run. */
  attempt: Attempt<"more" | void> | undefined
  isDue: boolean
  record: DutyRecord
}

/**
 * Makes the function that runs duties once around. Each is guarded, timed and logged by itself. They start in their order,
 * one after the other, but none waits longer than a turn for those before it. One that still runs is not started again; it
 * is awaited by this sweep and the next ones, because Cloud Run gives no processor between requests, until its limit.
 */
export function createDutyRunner(duties: Duty[], options: RunnerOptions): () => Promise<SweepResult> {
  const { signal, turnMs = TURN_MS, answerMs = ANSWER_MS } = options
  const states = duties.map(
    (duty): DutyState => ({ duty, attempt: undefined, isDue: true, record: emptyRecord(duty.name) }),
  )
  return async () => {
    const answerAt = performance.now() + answerMs
    const begun: DutyState[] = []
    for (const state of states) {
      if (signal.aborted) break
      if (!begin(state, options)) continue
      begun.push(state)
      await awaitState(state, Math.min(performance.now() + turnMs, answerAt))
    }
    await Promise.all(begun.map((state) => awaitState(state, answerAt)))
    const running = begun.filter(isRunning)
    for (const state of running.filter(isLate)) noteLate(state, options)
    const records = states.map(takeRecord).filter((record) => record.succeededAt || record.failures > 0)
    return {
      records,
      failed: records.filter(({ failures }) => failures > 0).map(({ name }) => name),
      running: running.filter((state) => !isLate(state)).map(({ duty }) => duty.name),
    }
  }
}

const isRunning = ({ attempt }: DutyState) => attempt !== undefined && attempt.outcome === undefined
const isLate = ({ duty, attempt }: DutyState) =>
  attempt !== undefined && performance.now() - attempt.startedMs >= duty.limitMs

/** Starts a duty if it is due and does not run; false if there is nothing to wait for. */
function begin(state: DutyState, options: RunnerOptions): boolean {
  if (isRunning(state)) return true
  const { duty, attempt } = state
  if (attempt && !state.isDue && performance.now() - attempt.startedMs < duty.everyMs) return false
  state.isDue = false
  const begun = beginAttempt(() =>
    continueTrace(currentSpan(), () => {
      noteFields({ duty: duty.name })
      return duty.run()
    }),
  )
  state.attempt = begun
  begun.ended = begun.ended.then(() => noteEnd(state, begun, options))
  return true
}

/** Waits for a duty until a time by `performance.now()`, and not beyond its limit. */
async function awaitState({ duty, attempt }: DutyState, untilMs: number): Promise<void> {
  if (!attempt || attempt.outcome) return
  await awaitAttempt(attempt, Math.min(untilMs, attempt.startedMs + duty.limitMs) - performance.now())
}

function noteEnd(state: DutyState, { startedMs, outcome }: Attempt<"more" | void>, options: RunnerOptions): void {
  const { log, explain, now, signal, turnMs = TURN_MS } = options
  const { duty } = state
  const ms = Math.round(performance.now() - startedMs)
  if (outcome && "value" in outcome) {
    state.isDue = outcome.value === "more"
    state.record = { ...emptyRecord(duty.name), succeededAt: now() }
    log[ms < turnMs ? "debug" : "info"]({ duty: duty.name, ms }, "a duty has ended")
    return
  }
  state.isDue = true
  // The database is closed under whatever still runs at the end of the process.
  if (signal.aborted) return
  const error = explain(outcome?.error)
  addFailure(state, error, now())
  log.warn({ duty: duty.name, ms, error }, "a duty has failed and is repeated by the next sweep")
}

function noteLate(state: DutyState, { log, now }: RunnerOptions): void {
  const { duty, attempt } = state
  const ms = Math.round(performance.now() - (attempt?.startedMs ?? 0))
  const error = `it has run for ${Math.round(ms / 1_000)} s and its limit is ${duty.limitMs / 1_000} s: restart the finalizer if it does not end`
  addFailure(state, error, now())
  log.warn({ duty: duty.name, ms, error }, "a duty has not ended within its limit and is not started again meanwhile")
}

const emptyRecord = (name: DutyName): DutyRecord => ({
  name,
  succeededAt: undefined,
  failures: 0,
  failingSince: undefined,
  lastError: undefined,
})

function addFailure(state: DutyState, error: string, at: Date): void {
  const { record } = state
  state.record = { ...record, failures: record.failures + 1, failingSince: record.failingSince ?? at, lastError: error }
}

function takeRecord(state: DutyState): DutyRecord {
  const { record, duty } = state
  state.record = emptyRecord(duty.name)
  return record
}
