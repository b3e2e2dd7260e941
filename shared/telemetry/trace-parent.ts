import { isSpanContextValid, type SpanContext } from "@opentelemetry/api"

// How a trace is handed on. Only W3C's traceparent is written; what is read also has Google's older form.

/** The attribute in which Pub/Sub's client libraries hand a trace on, with their OpenTelemetry support switched on. */
const TRACE_ATTRIBUTE = "googclient_traceparent"

/**
 * Whose work a request continues: that of who published its message, or else the request's own trace, which Cloud Run
 * gives to every request: https://cloud.google.com/run/docs/trace
 */
export function findTraceParent(
  attributes: Record<string, string>,
  headers: Record<string, string | string[] | undefined>,
): SpanContext | undefined {
  return (
    parseTraceParent(attributes[TRACE_ATTRIBUTE]) ??
    parseTraceParent(String(headers["traceparent"])) ??
    parseCloudTrace(String(headers["x-cloud-trace-context"]))
  )
}

/** https://www.w3.org/TR/trace-context/#traceparent-header; undefined for whatever is none. */
export function parseTraceParent(text: string | undefined): SpanContext | undefined {
  const [, version, traceId = "", spanId = "", flags = ""] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/.exec(text ?? "") ?? []
  if (version === undefined || version === "ff") return undefined
  return validate({ traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true })
}

export function formatTraceParent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`
}

/** The attributes that hand a trace on with a message. */
export function traceAttributes(context: SpanContext | undefined): Record<string, string> {
  return context ? { [TRACE_ATTRIBUTE]: formatTraceParent(context) } : {}
}

/** `TRACE_ID/SPAN_ID;o=OPTIONS`, the span's id decimal: https://cloud.google.com/trace/docs/trace-context#legacy-http-header */
function parseCloudTrace(text: string): SpanContext | undefined {
  const [, traceId = "", spanId = "", options] = /^([0-9a-f]{32})\/(\d{1,20})(?:;o=(\d))?$/i.exec(text) ?? []
  const context = {
    traceId: traceId.toLowerCase(),
    spanId: BigInt(spanId).toString(16).padStart(16, "0"),
    traceFlags: options === "1" ? 1 : 0,
    isRemote: true,
  }
  return validate(context)
}

function validate(context: SpanContext): SpanContext | undefined {
  return isSpanContextValid(context) ? context : undefined
}
