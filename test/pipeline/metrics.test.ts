import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { parse } from "yaml"
import { date, type Pipeline, purchasesOf, startPipeline } from "../rooms/start-pipeline.ts"
import { type Collector, type ExportedPoint, startCollector } from "../rooms/telemetry-collector.ts"

const soon = { timeout: 30_000, interval: 50 }

let collector: Collector
let pipeline: Pipeline
let shards: number
beforeAll(async () => {
  collector = await startCollector()
  pipeline = await startPipeline({
    settings: {
      THROTTLE_QUERY: "SELECT COUNT(*) FROM busy",
      OTEL_METRICS_EXPORTER: "otlp",
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    },
  })
  await pipeline.query("CREATE TABLE busy (n INT)", "INSERT INTO busy VALUES (1)", ...purchasesOf(60, 5))
  const requestId = await pipeline.publish("run-requests", { date })
  const awaitThrottled = async () => {
    const [run] = await pipeline.query("SELECT 1 FROM runs WHERE throttled IS NOT NULL")
    if (!run) throw new Error("no task waits")
  }
  await vi.waitFor(awaitThrottled, soon)
  // Each of the two tasks has waited for as long as it does before it looks again, and says so at once.
  const awaitExported = () => {
    if (newest("daybook_throttled_seconds_total").length < 2) throw new Error("not both tasks have waited")
  }
  await vi.waitFor(awaitExported, soon)
  await pipeline.query("DELETE FROM busy")
  shards = (await pipeline.awaitVerdict(requestId)).shards ?? 0
  await pipeline.cloud.sweep()
  // Each process says its last word when it ends.
  await pipeline.stop()
})
afterAll(async () => {
  await pipeline?.stop().catch(() => undefined)
  await collector?.stop()
})

/** The newest point of each series. */
const newest = (metric: string): ExportedPoint[] => {
  const series = new Map<string, ExportedPoint>()
  for (const point of collector.points.filter((other) => other.metric === metric)) {
    series.set(JSON.stringify([point.instance, point.attributes]), point)
  }
  return [...series.values()]
}
const sum = (metric: string) => newest(metric).reduce((total, { value }) => total + value, 0)

test("a verdict is counted once: its run, phases, shards and purchases", () => {
  expect(shards).toBeGreaterThan(1)
  expect(newest("daybook_run_duration_seconds")).toMatchObject([
    { service: "daybook-finalizer", value: 1, attributes: { verdict: "complete" } },
  ])
  const phases = newest("daybook_phase_duration_seconds").map(({ attributes, value }) => [attributes["phase"], value])
  expect(phases.toSorted()).toEqual(["announcing", "computing", "planning", "verifying"].map((phase) => [phase, 1]))
  expect(newest("daybook_shards_total")).toMatchObject([{ value: shards, attributes: { verdict: "complete" } }])
  // Those of guests are none of any shard.
  expect(sum("daybook_purchases_total")).toBeGreaterThan(280)
  expect(sum("daybook_purchases_total")).toBeLessThanOrEqual(300)
})

test("the sweep tells the days by state, how old the newest is, and that there was a sweep", () => {
  const days = Object.fromEntries(newest("daybook_days").map(({ attributes, value }) => [attributes["state"], value]))
  expect(days["shown"]).toBe(1)
  expect(days["missing"]).toBeGreaterThan(1)
  const age = (Date.now() - Date.parse(`${date}T24:00:00Z`)) / 1_000
  expect(newest("daybook_newest_day_age_seconds")).toMatchObject([{ service: "daybook-finalizer" }])
  expect(Math.abs(sum("daybook_newest_day_age_seconds") - age)).toBeLessThan(60)
  expect(Math.abs(sum("daybook_last_sweep_timestamp_seconds") - Date.now() / 1_000)).toBeLessThan(60)
})

test("tasks tell how long they waited for the database, and why", () => {
  expect(newest("daybook_throttled_seconds_total")[0]).toMatchObject({
    service: "daybook-worker",
    attributes: { reason: "query" },
  })
  expect(sum("daybook_throttled_seconds_total")).toBeGreaterThan(1)
  expect(sum("daybook_throttled_seconds_total")).toBeLessThan(60)
})

test("the dashboard shows each of them, and nothing that is not exported", async () => {
  const dashboard = parse(await readFile(join("services/provision/dashboard.yaml"), "utf8")) as unknown
  const queries = [...JSON.stringify(dashboard).matchAll(/"prometheusQuery":"((?:[^"\\]|\\.)*)"/g)].map(([, of]) => of)
  const shown = queries.flatMap((query) => query?.match(/daybook_\w+/g) ?? [])
  const exported = new Set(collector.points.map(({ metric }) => metric))
  expect(new Set(shown.map((name) => name.replace(/_(bucket|count|sum)$/, "")))).toEqual(exported)
})
