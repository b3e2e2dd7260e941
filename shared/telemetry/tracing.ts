import { AsyncLocalStorage } from "node:async_hooks"
import {
  type Attributes,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api"
import { describeError } from "../errors.ts"

/*
 * What is being done, as logs and traces see it: each line that is logged in a span has the span's fields and trace,
 * and each span the same fields as attributes. Without an exporter spans are empty, nothing of OpenTelemetry but its
 * small API is loaded, and a trace that comes with a message or request is still handed on and named in the logs.
 */

/** What a line or a span is about. The same thing has the same name everywhere: runId, dispatch, shard, epoch … */
export type Fields = Record<string, string | number | boolean | undefined>

interface Scope {
  span: Span
  fields: Fields
}

export interface SpanOptions {
  kind?: "consumer" | "producer"
  /** Of the span alone, by the names of https://opentelemetry.io/docs/specs/semconv/. */
  attributes?: Attributes
}

const scopes = new AsyncLocalStorage<Scope>()

/** Works in the trace of somebody else, or without one, whatever the caller works in. */
export function continueTrace<T>(parent: SpanContext | undefined, work: () => Promise<T>): Promise<T> {
  return scopes.run({ span: trace.wrapSpanContext(parent ?? INVALID_SPAN_CONTEXT), fields: {} }, work)
}

/** Works in a span of its own. It also has the fields of what it is part of. */
export async function inTraceSpan<T>(
  name: string,
  given: Fields,
  work: () => Promise<T>,
  options: SpanOptions = {},
): Promise<T> {
  const outer = scopes.getStore()
  const fields = { ...outer?.fields, ...given }
  const span = trace.getTracer("daybook").startSpan(
    name,
    {
      kind: { consumer: SpanKind.CONSUMER, producer: SpanKind.PRODUCER, "": SpanKind.INTERNAL }[options.kind ?? ""],
      attributes: { ...options.attributes, ...toAttributes(fields) },
    },
    outer ? trace.setSpan(ROOT_CONTEXT, outer.span) : ROOT_CONTEXT,
  )
  try {
    return await scopes.run({ span, fields }, work)
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: describeError(error) })
    throw error
  } finally {
    span.end()
  }
}

/** Adds what has turned out since the span began. */
export function noteFields(fields: Fields): void {
  const scope = scopes.getStore()
  if (!scope) return
  Object.assign(scope.fields, fields)
  scope.span.setAttributes(toAttributes(fields))
}

/** The span that others continue, if there is one. */
export function currentSpan(): SpanContext | undefined {
  const context = scopes.getStore()?.span.spanContext()
  return context && isSpanContextValid(context) ? context : undefined
}

/** https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields; a new object each time. */
export function describeScope(project?: string): Record<string, unknown> {
  const span = project === undefined ? undefined : currentSpan()
  return {
    ...scopes.getStore()?.fields,
    ...(span
      ? {
          "logging.googleapis.com/trace": `projects/${project}/traces/${span.traceId}`,
          "logging.googleapis.com/spanId": span.spanId,
          "logging.googleapis.com/trace_sampled": (span.traceFlags & 1) === 1,
        }
      : {}),
  }
}

function toAttributes(fields: Fields): Attributes {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[`daybook.${name}`, value]])),
  )
}
