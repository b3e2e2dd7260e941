import { randomUUID } from "node:crypto"
import { setTimeout as wait } from "node:timers/promises"
import { DiagLogLevel, diag } from "@opentelemetry/api"
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources"
import { GoogleAuth } from "google-auth-library"
import type { Log } from "./log.ts"

// What the exporters of spans and of metrics have in common. Where to, and how, they read from the environment
// themselves, by OpenTelemetry's own names: https://opentelemetry.io/docs/specs/otel/protocol/exporter/

export interface SdkOptions {
  exporter: "otlp" | "console"
  serviceName: string
  project: string
  log: Log
}

/** What exports spans or metrics. Neither of the two ever fails, and each gives up soon. */
export interface Exporting {
  /** Sends what there is by now. */
  flush: () => Promise<void>
  /** The same for the last time. */
  close: () => Promise<void>
}

// A day is worth more than its telemetry: a collector that is away must not keep deliveries and tasks waiting.
export const FLUSH_MS_MAX = 2_000

/** Waits for an export no longer than that; the exporter's own failures are logged. */
export async function inTime(work: Promise<void>): Promise<void> {
  await Promise.race([work.catch(() => undefined), wait(FLUSH_MS_MAX)])
}

/** Has the SDK's complaints in the log. */
export function logFailures(log: Log): void {
  const warn = (message: string) => log.warn({ error: message }, "telemetry cannot be exported")
  const silent = () => {}
  diag.setLogger(
    { error: warn, warn, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
}

/**
 * Who exports. Google's endpoint asks for the project, and takes a metric only from a named instance:
 * https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.metrics
 */
export function describeProcess({ serviceName, project }: SdkOptions) {
  return defaultResource()
    .merge(
      resourceFromAttributes({
        "service.name": serviceName,
        "service.instance.id": randomUUID(),
        "gcp.project_id": project,
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }))
}

/**
 * Google's endpoint is told by whom, as every other service of Google's, without a collector between that would add it;
 * others are told nothing.
 */
export function openHeaders(signal: "TRACES" | "METRICS", scope: string) {
  const { env } = process
  const endpoint = env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`] ?? env["OTEL_EXPORTER_OTLP_ENDPOINT"]
  if (URL.parse(endpoint ?? "")?.hostname !== "telemetry.googleapis.com") return {}
  const auth = new GoogleAuth({ scopes: [`https://www.googleapis.com/auth/${scope}`] })
  const headers = async (): Promise<Record<string, string>> => {
    try {
      return Object.fromEntries(await auth.getRequestHeaders())
    } catch (error) {
      // It must not throw; without a token the answer is a refusal, which is logged beside this.
      diag.warn(error instanceof Error ? error.message : String(error))
      return {}
    }
  }
  return { headers }
}
