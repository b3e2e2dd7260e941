import { trace } from "@opentelemetry/api"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto"
import { AlwaysOnSampler, BatchSpanProcessor, ConsoleSpanExporter, TracerProvider } from "@opentelemetry/sdk-trace"
import {
  describeProcess,
  type Exporting,
  FLUSH_MS_MAX,
  inTime,
  logFailures,
  openHeaders,
  type SdkOptions,
} from "./sdk-options.ts"

/** Starts what collects and exports spans. */
export function startTraces(options: SdkOptions): Exporting {
  logFailures(options.log)
  const exporter =
    options.exporter === "console"
      ? new ConsoleSpanExporter()
      : new OTLPTraceExporter(openHeaders("TRACES", "trace.append"))
  const provider = new TracerProvider({
    resource: describeProcess(options),
    // Cloud Run samples a request every ten seconds at most, and says "not sampled" of all others; a run is worth it.
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  })
  trace.setGlobalTracerProvider(provider)
  return {
    flush: () => inTime(provider.forceFlush({ timeoutMillis: FLUSH_MS_MAX })),
    close: () => inTime(provider.shutdown()),
  }
}
