import type { Log } from "./log.ts"
import type { Tracing } from "./trace-sdk.ts"

export interface TracingSettings {
  GOOGLE_CLOUD_PROJECT: string
  /** Where spans go; nowhere by default. */
  OTEL_TRACES_EXPORTER?: "none" | "otlp" | "console" | undefined
  OTEL_SERVICE_NAME?: string | undefined
}

/** Exports spans where the environment says so. What exports them is only loaded then: it takes a task longer to start. */
export async function openTracing(settings: TracingSettings, part: string, log: Log): Promise<Tracing> {
  const exporter = settings.OTEL_TRACES_EXPORTER ?? "none"
  if (exporter === "none") return { flush: async () => {}, close: async () => {} }
  const { startSdk } = await import("./trace-sdk.ts")
  return startSdk({
    exporter,
    serviceName: settings.OTEL_SERVICE_NAME ?? `daybook-${part}`,
    project: settings.GOOGLE_CLOUD_PROJECT,
    log,
  })
}
