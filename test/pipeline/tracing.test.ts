import { randomBytes } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest"
import { topics } from "../../shared/messages/topics.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"
import { type Collector, startCollector } from "../fixtures/telemetry-collector.ts"

type LogLine = Record<string, unknown>

/** A trace as whoever publishes has begun it. */
function newTrace() {
  const traceId = randomBytes(16).toString("hex")
  const spanId = randomBytes(8).toString("hex")
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` }
}

async function publishInTrace(pipeline: Pipeline, topic: string, data: unknown, traceparent: string): Promise<string> {
  return pipeline.pubsub.topic(topic, { batching: { maxMessages: 1 } }).publishMessage({
    data: Buffer.from(JSON.stringify(data)),
    attributes: { googclient_traceparent: traceparent },
  })
}

/** The messages of a topic that hand a trace on. */
function messagesIn(pipeline: Pipeline, topic: string, traceId: string) {
  const messages = pipeline.cloud.pubsub.messages(`projects/local/topics/${topic}`)
  return messages.filter(({ attributes }) => attributes["googclient_traceparent"]?.slice(3, 35) === traceId)
}

async function readLines(pipeline: Pipeline): Promise<LogLine[]> {
  const lines = (await pipeline.readLogs()).split("\n")
  return lines.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as LogLine] : []))
}

describe("with an exporter in the environment", () => {
  let collector: Collector
  let pipeline: Pipeline
  beforeAll(async () => {
    collector = await startCollector()
    pipeline = await startPipeline({
      maxRetries: 0,
      settings: { OTEL_TRACES_EXPORTER: "otlp", OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
    })
    await pipeline.query(...purchasesOf(60, 5))
    await pipeline.query(...purchasesOf(60, 5, "2026-11-20"))
  })
  afterAll(async () => {
    await pipeline?.stop()
    await collector.stop()
  })

  const spansOf = (traceId: string, name?: string) =>
    collector.spans.filter((span) => span.traceId === traceId && (name === undefined || span.name === name))
  const awaitSpan = (traceId: string, name: string) =>
    vi.waitFor(() => expect(spansOf(traceId, name)).not.toEqual([]), { timeout: 10_000 })

  test("one trace leads from the published date through planner, each shard and the finalizer to the verdict", async () => {
    const { traceId, spanId, traceparent } = newTrace()
    const messageId = await publishInTrace(pipeline, topics.runRequests, { date }, traceparent)
    const verdict = await pipeline.awaitVerdict(messageId)
    expect(verdict.verdict).toBe("complete")
    await awaitSpan(traceId, "process run-requests")
    await awaitSpan(traceId, "send run-verdicts")
    await vi.waitFor(() => expect(spansOf(traceId, "task")).toHaveLength(2), { timeout: 10_000 })
    const spans = spansOf(traceId)

    expect(spansOf(traceId, "process run-requests")).toMatchObject([
      { service: "daybook-planner", parentSpanId: spanId, attributes: { "messaging.message.id": messageId } },
    ])
    expect(spansOf(traceId, "shard").map((span) => span.attributes["daybook.shard"])).toHaveLength(verdict.shards ?? 0)
    expect(new Set(spans.map((span) => span.service))).toEqual(
      new Set(["daybook-planner", "daybook-worker", "daybook-finalizer"]),
    )
    for (const span of spans)
      expect(span).toMatchObject({ attributes: { "daybook.runId": verdict.runId }, failed: false })

    // Every span hangs on another, and in the end on who published the date.
    const ids = new Set([spanId, ...spans.map((span) => span.spanId)])
    for (const span of spans) expect(ids).toContain(span.parentSpanId)
    const [sent] = spansOf(traceId, "send run-verdicts")
    const [message, ...more] = messagesIn(pipeline, topics.runVerdicts, traceId)
    expect(message?.attributes["googclient_traceparent"]).toBe(`00-${traceId}-${sent?.spanId}-01`)
    expect(more).toEqual([])
    expect(messagesIn(pipeline, topics.workItems, traceId)).toHaveLength(verdict.shards ?? 0)
    expect(messagesIn(pipeline, topics.shardReports, traceId)).toHaveLength(verdict.shards ?? 0)
  })

  test("a run whose tasks died in silence has its verdict in the same trace, though only the sweep noticed", async () => {
    const of = "2026-11-20"
    // In the way of the first shard, so that its task is at work when it is killed.
    const lock = await pipeline.connect()
    await lock.beginTransaction()
    await lock.query("INSERT INTO revenue_versions VALUES (?, 1, 1, 0, 0)", [of])
    const { traceId, traceparent } = newTrace()
    const messageId = await publishInTrace(pipeline, topics.runRequests, { date: of }, traceparent)
    const claimed = await vi.waitFor(
      async () => {
        const [shard] = await pipeline.shards(`${of}-${messageId}`)
        if (shard?.state !== "claimed") throw new Error(`shard 0 is ${shard?.state}`)
        return shard
      },
      { timeout: 20_000, interval: 20 },
    )
    const running = pipeline.cloud.runJobs.tasks().find((task) => task.taskIndex === claimed.taskIndex)
    pipeline.cloud.runJobs.killTask(running?.execution ?? "", claimed.taskIndex ?? -1, "SIGKILL")
    await lock.rollback()
    await lock.end()
    expect(await pipeline.awaitVerdict(messageId)).toMatchObject({
      verdict: "incomplete",
      // Whether another task had the second shard by then is not what this is about.
      missing: expect.arrayContaining([0]) as unknown,
    })
    await awaitSpan(traceId, "finalize run")
    expect(messagesIn(pipeline, topics.runVerdicts, traceId)).toHaveLength(1)
  })
})

describe("without an exporter", () => {
  let pipeline: Pipeline
  let lines: LogLine[]
  const { traceId, traceparent } = newTrace()
  let runId: string
  beforeAll(async () => {
    // A collector that is not there: whoever asked it would say so in the logs.
    const nowhere = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }
    pipeline = await startPipeline({ settings: { ...nowhere, NODE_DEBUG: "module" } })
    await pipeline.query(...purchasesOf(60, 5))
    const messageId = await publishInTrace(pipeline, topics.runRequests, { date }, traceparent)
    runId = (await pipeline.awaitVerdict(messageId)).runId ?? ""
    lines = await readLines(pipeline)
  })
  afterAll(() => pipeline?.stop())

  const linesOf = (service: string) => lines.filter((line) => line["service"] === service && line["runId"] === runId)

  test("each line about a run names it, and the trace that came with its message", () => {
    for (const service of ["planner", "worker", "finalizer"]) {
      expect(linesOf(service)).not.toEqual([])
      for (const line of linesOf(service)) {
        expect(line).toMatchObject({
          dispatch: 0,
          "logging.googleapis.com/trace": `projects/local/traces/${traceId}`,
          "logging.googleapis.com/spanId": expect.stringMatching(/^[0-9a-f]{16}$/),
          "logging.googleapis.com/trace_sampled": true,
        })
      }
    }
    for (const line of linesOf("worker")) {
      expect(line).toMatchObject({ execution: expect.any(String), taskIndex: expect.any(Number), attempt: 0 })
    }
    const finished = lines.filter((line) => line["message"] === "a shard is finished")
    expect(finished.length).toBeGreaterThan(2)
    for (const line of finished) expect(line).toMatchObject({ shard: expect.any(Number), epoch: expect.any(Number) })
  })

  test("the trace is handed on all the same", () => {
    for (const topic of [topics.workItems, topics.shardReports, topics.runVerdicts]) {
      expect(messagesIn(pipeline, topic, traceId)).not.toEqual([])
    }
  })

  test("nothing of OpenTelemetry's SDK is loaded, and nothing is exported", async () => {
    const logs = await pipeline.readLogs()
    // Node tells each module that it loads.
    expect(logs).toMatch(/MODULE \d+: .*worker\.bundle\.cjs/)
    expect(logs).not.toMatch(/opentelemetry/i)
    expect(logs).not.toContain("telemetry cannot be exported")
  })
})
