import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"
import { parse } from "protobufjs"

/** A span as it was exported, ids in hexadecimal. */
export interface ExportedSpan {
  service: string
  name: string
  traceId: string
  spanId: string
  parentSpanId: string
  attributes: Record<string, string | number>
  failed: boolean
}

/** A point of a metric as it was exported. */
export interface ExportedPoint {
  service: string
  metric: string
  attributes: Record<string, string | number>
  /** Of a histogram how many values there were. */
  value: number
  /** Of all processes one. */
  instance: string
}

// The parts of https://github.com/open-telemetry/opentelemetry-proto that are looked at.
const { root } = parse(`syntax = "proto3";
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5;
  repeated KeyValue attributes = 9; Status status = 15;
}
message Status { int32 code = 3; }
message MetricsRequest { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; }
message ScopeMetrics { repeated Metric metrics = 2; }
message Metric { string name = 1; Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; }
message Gauge { repeated Point data_points = 1; }
message Sum { repeated Point data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message Histogram { repeated HistogramPoint data_points = 1; }
message Point { oneof value { double as_double = 4; sfixed64 as_int = 6; } repeated KeyValue attributes = 7; }
message HistogramPoint { fixed64 count = 4; repeated KeyValue attributes = 9; }
message KeyValue { string key = 1; Value value = 2; }
message Value { oneof value { string string_value = 1; int64 int_value = 3; double double_value = 4; } }`)

interface KeyValue {
  key: string
  value?: { stringValue?: string; intValue?: string; doubleValue?: number }
}
interface Request {
  resourceSpans?: {
    resource?: { attributes?: KeyValue[] }
    scopeSpans?: {
      spans?: {
        traceId: Buffer
        spanId: Buffer
        parentSpanId?: Buffer
        name: string
        attributes?: KeyValue[]
        status?: { code?: number }
      }[]
    }[]
  }[]
}

interface Points {
  dataPoints?: { attributes?: KeyValue[]; asDouble?: number; asInt?: string; count?: string }[]
}
interface MetricsRequest {
  resourceMetrics?: {
    resource?: { attributes?: KeyValue[] }
    scopeMetrics?: { metrics?: { name: string; gauge?: Points; sum?: Points; histogram?: Points }[] }[]
  }[]
}

const STATUS_ERROR = 2

/** An OpenTelemetry collector that keeps what it gets: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export async function startCollector() {
  const spans: ExportedSpan[] = []
  const points: ExportedPoint[] = []
  const server = createServer((request, response) => {
    void take(request, response)
  })
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const body = await buffer(request)
    const isProtobuf = request.headers["content-type"] === "application/x-protobuf"
    const isTraces = isProtobuf && request.url === "/v1/traces"
    const isMetrics = isProtobuf && request.url === "/v1/metrics"
    if (isTraces) spans.push(...readSpans(body))
    if (isMetrics) points.push(...readPoints(body))
    response.writeHead(isTraces || isMetrics ? 200 : 404, { "content-type": "application/x-protobuf" }).end()
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    points,
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export type Collector = Awaited<ReturnType<typeof startCollector>>

function readSpans(body: Buffer): ExportedSpan[] {
  const type = root.lookupType("Request")
  const request = type.toObject(type.decode(body), { longs: String }) as Request
  return (request.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) =>
    (scopeSpans ?? []).flatMap(({ spans }) =>
      (spans ?? []).map((span) => ({
        service: String(readAttributes(resource?.attributes)["service.name"]),
        name: span.name,
        traceId: span.traceId.toString("hex"),
        spanId: span.spanId.toString("hex"),
        parentSpanId: span.parentSpanId?.toString("hex") ?? "",
        attributes: readAttributes(span.attributes),
        failed: span.status?.code === STATUS_ERROR,
      })),
    ),
  )
}

function readPoints(body: Buffer): ExportedPoint[] {
  const type = root.lookupType("MetricsRequest")
  const request = type.toObject(type.decode(body), { longs: String }) as MetricsRequest
  return (request.resourceMetrics ?? []).flatMap(({ resource, scopeMetrics }) => {
    const process = readAttributes(resource?.attributes)
    const metrics = (scopeMetrics ?? []).flatMap((scope) => scope.metrics ?? [])
    return metrics.flatMap(({ name, gauge, sum, histogram }) =>
      ((gauge ?? sum ?? histogram)?.dataPoints ?? []).map(({ attributes, asDouble, asInt, count }) => ({
        service: String(process["service.name"]),
        instance: String(process["service.instance.id"]),
        metric: name,
        attributes: readAttributes(attributes),
        value: asDouble ?? Number(asInt ?? count),
      })),
    )
  })
}

function readAttributes(attributes: KeyValue[] = []): Record<string, string | number> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, value?.stringValue ?? Number(value?.intValue ?? value?.doubleValue)]),
  )
}
