import { setTimeout as wait } from "node:timers/promises"
import { DiagLogLevel, diag, trace } from "@opentelemetry/api"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto"
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources"
import { AlwaysOnSampler, BatchSpanProcessor, ConsoleSpanExporter, TracerProvider } from "@opentelemetry/sdk-trace"
import { GoogleAuth } from "google-auth-library"
import type { Log } from "./log.ts"

export interface Tracing {
  /** Sends the spans that have ended. Never fails, and gives up soon. */
  flush: () => Promise<void>
  /** The same for the last time. */
  close: () => Promise<void>
}

// A day is worth more than its trace: a collector that is away must not keep deliveries and tasks waiting.
const FLUSH_MS_MAX = 2_000

export interface SdkOptions {
  exporter: "otlp" | "console"
  serviceName: string
  project: string
  log: Log
}

/**
 * Starts what collects and exports spans. Where to, and how, the SDK itself reads from the environment, by OpenTelemetry's
 * own names: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
export function startSdk({ exporter, serviceName, project, log }: SdkOptions): Tracing {
  const warn = (message: string) => log.warn({ error: message }, "spans cannot be exported")
  const silent = () => {}
  diag.setLogger({ error: warn, warn, info: silent, debug: silent, verbose: silent }, DiagLogLevel.WARN)
  const provider = new TracerProvider({
    // Google's endpoint asks for the project: https://cloud.google.com/stackdriver/docs/reference/telemetry/overview
    resource: defaultResource()
      .merge(resourceFromAttributes({ "service.name": serviceName, "gcp.project_id": project }))
      .merge(detectResources({ detectors: [envDetector] })),
    // Cloud Run samples a request every ten seconds at most, and says "not sampled" of all others; a run is worth it.
    sampler: new AlwaysOnSampler(),
    spanProcessors: [
      new BatchSpanProcessor({ exporter: exporter === "console" ? new ConsoleSpanExporter() : openOtlp() }),
    ],
  })
  trace.setGlobalTracerProvider(provider)
  // The exporter's own failures are logged above.
  const inTime = (work: Promise<void>) => Promise.race([work.catch(() => undefined), wait(FLUSH_MS_MAX)])
  return {
    flush: () => inTime(provider.forceFlush({ timeoutMillis: FLUSH_MS_MAX })),
    close: () => inTime(provider.shutdown()),
  }
}

function openOtlp(): OTLPTraceExporter {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT } = process.env
  const endpoint = OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? OTEL_EXPORTER_OTLP_ENDPOINT
  return new OTLPTraceExporter(isGoogle(endpoint) ? { headers: createGoogleHeaders() } : {})
}

function isGoogle(endpoint: string | undefined): boolean {
  return URL.parse(endpoint ?? "")?.hostname === "telemetry.googleapis.com"
}

/** Cloud Trace is told by whom, as every other service of Google's: without a collector between that would add it. */
function createGoogleHeaders(): () => Promise<Record<string, string>> {
  const auth = new GoogleAuth({ scopes: ["https://www.googleapis.com/auth/trace.append"] })
  return async () => {
    try {
      return Object.fromEntries(await auth.getRequestHeaders())
    } catch (error) {
      // It must not throw; without a token the answer is a refusal, which is logged beside this.
      diag.warn(error instanceof Error ? error.message : String(error))
      return {}
    }
  }
}
