import { type Meter, metrics } from "@opentelemetry/api"

/*
 * Numbers to watch. They are recorded where they are known anyway and cost nothing without an exporter. Names are those
 * that Prometheus would make of them, unit and all, so that a query reads the same in Cloud Monitoring and elsewhere:
 * https://prometheus.io/docs/practices/naming/
 */

/** Seconds, from a small day on a quiet machine to the longest run that is still waited for. */
const secondsBuckets = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400]

const advice = { advice: { explicitBucketBoundaries: secondsBuckets } }

function openInstruments(meter: Meter) {
  return {
    days: meter.createGauge("daybook_days", { description: "Days of the last five weeks, by state" }),
    newestDayAge: meter.createGauge("daybook_newest_day_age_seconds", {
      description: "Since the end of the newest day that readers see",
    }),
    lastSweep: meter.createGauge("daybook_last_sweep_timestamp_seconds", {
      description: "When the last sweep ended, since 1970",
    }),
    runDuration: meter.createHistogram("daybook_run_duration_seconds", {
      ...advice,
      description: "From a request to its verdict, by verdict",
    }),
    phaseDuration: meter.createHistogram("daybook_phase_duration_seconds", {
      ...advice,
      description: "Of planning, computing, verifying and announcing",
    }),
    shards: meter.createCounter("daybook_shards_total", { description: "Shards of runs that have their verdict" }),
    purchases: meter.createCounter("daybook_purchases_total", {
      description: "Purchases that were read for runs that have their verdict",
    }),
    throttled: meter.createCounter("daybook_throttled_seconds_total", {
      description: "For which the shop's server was waited for, by reason",
    }),
  }
}

// Not at load: what is made before the exporter is there would stay silent.
let instruments: ReturnType<typeof openInstruments> | undefined

function instrumentsOf() {
  instruments ??= openInstruments(metrics.getMeter("daybook"))
  return instruments
}

/** What the ledger says of the days: every state that was ever told is told again, else it would keep its last number. */
export function recordDays(states: string[], newestDayAgeMs: number | undefined): void {
  const { days, newestDayAge } = instrumentsOf()
  for (const state of states) statesTold.add(state)
  for (const state of statesTold) days.record(states.filter((other) => other === state).length, { state })
  if (newestDayAgeMs !== undefined) newestDayAge.record(newestDayAgeMs / 1_000)
}

const statesTold = new Set<string>()

export function recordSweep(now: Date): void {
  instrumentsOf().lastSweep.record(now.getTime() / 1_000)
}

/** What a run took and held. Milliseconds; what is not known is undefined. */
export interface RunNumbers {
  verdict: string
  durationMs: number | undefined
  phasesMs: Record<"planning" | "computing" | "verifying" | "announcing", number | undefined>
  shards: number
  purchases: number
}

/** Of one verdict, by whoever announces it. */
export function recordVerdict({ verdict, durationMs, phasesMs, shards, purchases }: RunNumbers): void {
  const { runDuration, phaseDuration, ...counters } = instrumentsOf()
  if (durationMs !== undefined) runDuration.record(durationMs / 1_000, { verdict })
  for (const [phase, ms] of Object.entries(phasesMs)) {
    if (ms !== undefined) phaseDuration.record(ms / 1_000, { phase })
  }
  counters.shards.add(shards, { verdict })
  counters.purchases.add(purchases)
}

export function countThrottled(ms: number, reason: string): void {
  instrumentsOf().throttled.add(ms / 1_000, { reason })
}
