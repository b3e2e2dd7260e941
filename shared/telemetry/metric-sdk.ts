import { metrics } from "@opentelemetry/api"
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto"
import { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics"
import { describeProcess, type Exporting, inTime, logFailures, openHeaders, type SdkOptions } from "./sdk-options.ts"

// Cloud Monitoring refuses points of one series that come within five seconds of each other:
// https://cloud.google.com/monitoring/quotas#custom_metrics_quotas. A sweep comes every minute.
const FLUSH_PAUSE_MS = 30_000

// A service has a processor only while it answers: it exports then, and by no timer of its own. The longest there is.
const NEVER_MS = 2 ** 31 - 1

/** Starts what collects and exports metrics: at a flush, if the last is long enough ago, and at the end. */
export function startMetrics(options: SdkOptions): Exporting {
  logFailures(options.log)
  const exporter =
    options.exporter === "console"
      ? new ConsoleMetricExporter()
      : new OTLPMetricExporter(openHeaders("METRICS", "monitoring.write"))
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: NEVER_MS })
  const provider = new MeterProvider({ resource: describeProcess(options), readers: [reader] })
  metrics.setGlobalMeterProvider(provider)
  let flushedAt = Number.NEGATIVE_INFINITY
  return {
    flush: async () => {
      if (performance.now() - flushedAt < FLUSH_PAUSE_MS) return
      flushedAt = performance.now()
      await inTime(provider.forceFlush())
    },
    close: () => inTime(provider.shutdown()),
  }
}
