import type { Log } from "./log.ts"
import type { Exporting } from "./sdk-options.ts"

export interface TelemetrySettings {
  GOOGLE_CLOUD_PROJECT: string
  /** Where spans go; nowhere by default. */
  OTEL_TRACES_EXPORTER?: "none" | "otlp" | "console" | undefined
  /** Where metrics go; nowhere by default. */
  OTEL_METRICS_EXPORTER?: "none" | "otlp" | "console" | undefined
  OTEL_SERVICE_NAME?: string | undefined
}

/**
 * Exports spans and metrics where the environment says so. What exports them is only loaded then: it takes a task longer
 * to start.
 */
export async function openTelemetry(settings: TelemetrySettings, part: string, log: Log): Promise<Exporting> {
  const { OTEL_TRACES_EXPORTER: traces = "none", OTEL_METRICS_EXPORTER: metrics = "none" } = settings
  const of = {
    serviceName: settings.OTEL_SERVICE_NAME ?? `daybook-${part}`,
    project: settings.GOOGLE_CLOUD_PROJECT,
    log,
  }
  const opened: Exporting[] = []
  if (traces !== "none") opened.push((await import("./trace-sdk.ts")).startTraces({ ...of, exporter: traces }))
  if (metrics !== "none") opened.push((await import("./metric-sdk.ts")).startMetrics({ ...of, exporter: metrics }))
  return {
    flush: async () => void (await Promise.all(opened.map((exporting) => exporting.flush()))),
    close: async () => void (await Promise.all(opened.map((exporting) => exporting.close()))),
  }
}
