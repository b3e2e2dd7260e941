import { setTimeout as wait } from "node:timers/promises"
import { beforeEach, expect, test, vi } from "vitest"
import type { Duty } from "../../../services/finalizer/duties/duty.ts"
import { createDutyRunner } from "../../../services/finalizer/duties/run-duties.ts"
import type { DutyName } from "../../../shared/ledger/duties/duties.ts"

const TURN_MS = 40

const lines: { level: string; duty: string; message: string; error?: string }[] = []
const write = (level: string) => (fields: { duty: string; error?: string }, message: string) =>
  void lines.push({ level, message, ...fields })
const log = Object.fromEntries(["debug", "info", "warn", "error"].map((level) => [level, write(level)])) as never
let starts: string[] = []
let stopping = new AbortController()
beforeEach(() => {
  lines.length = 0
  starts = []
  stopping = new AbortController()
})

/** A duty that is noted when it starts. */
const duty = (name: DutyName, run: Duty["run"] = async () => {}, times: Partial<Duty> = {}): Duty => ({
  name,
  everyMs: 0,
  limitMs: 60_000,
  ...times,
  run: () => {
    starts.push(name)
    return run()
  },
})

const runnerOf = (duties: Duty[], answerMs = 30_000) =>
  createDutyRunner(duties, {
    log,
    explain: (error) => (error as Error).message,
    now: () => new Date("2026-11-23T12:00:00Z"),
    signal: stopping.signal,
    turnMs: TURN_MS,
    answerMs,
  })

const at = new Date("2026-11-23T12:00:00Z")
const fail = async () => {
  throw new Error("DELETE command denied")
}

/** Something that ends when the test says so. */
function hold() {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  return { run: () => promise, end: resolve, fail: reject }
}

test("duties start in their order, one after the other, and what one throws is its own failure", async () => {
  const order: string[] = []
  const slowly = async () => {
    await wait(10)
    order.push("fill-gaps")
  }
  const sweep = runnerOf([
    duty("prune-versions", fail),
    duty("fill-gaps", slowly),
    duty("plan-night", async () => void order.push("plan-night")),
  ])
  const { records, failed, running } = await sweep()
  expect(order).toEqual(["fill-gaps", "plan-night"])
  expect([failed, running]).toEqual([["prune-versions"], []])
  const success = { succeededAt: at, failures: 0, failingSince: undefined, lastError: undefined }
  expect(records).toEqual([
    {
      name: "prune-versions",
      succeededAt: undefined,
      failures: 1,
      failingSince: at,
      lastError: "DELETE command denied",
    },
    { name: "fill-gaps", ...success },
    { name: "plan-night", ...success },
  ])
  expect(lines.find(({ level }) => level === "warn")).toMatchObject({
    duty: "prune-versions",
    ms: expect.any(Number) as number,
    error: "DELETE command denied",
  })
  expect(lines.filter(({ message }) => message === "a duty has ended").map((line) => line.duty)).toEqual([
    "fill-gaps",
    "plan-night",
  ])
})

test("a duty that hangs delays the others by a turn and the answer until its limit, and runs once", async () => {
  const { run, end } = hold()
  const sweep = runnerOf([duty("prune-versions", run, { limitMs: 150 }), duty("plan-night")])
  const startedMs = performance.now()
  const first = await sweep()
  expect(performance.now() - startedMs).toBeLessThan(1_000)
  expect(first.failed).toEqual(["prune-versions"])
  expect(first.records[0]).toMatchObject({ failures: 1, lastError: expect.stringContaining("its limit") as string })
  expect(first.records[1]).toMatchObject({ name: "plan-night", succeededAt: at })

  const againMs = performance.now()
  expect((await sweep()).failed).toEqual(["prune-versions"])
  // Nobody awaits it any more.
  expect(performance.now() - againMs).toBeLessThan(TURN_MS)
  expect(starts).toEqual(["prune-versions", "plan-night", "plan-night"])

  end()
  await vi.waitFor(() => expect(lines.at(-1)?.message).toBe("a duty has ended"))
  expect(await sweep()).toMatchObject({ failed: [], running: [] })
  expect(starts.filter((name) => name === "prune-versions")).toHaveLength(2)
})

test("a duty within its limit is no failure, is awaited by the next sweep, and its end is told once", async () => {
  const { run, fail: failLate } = hold()
  const sweep = runnerOf([duty("look-after-runs", run), duty("plan-night")], 100)
  expect(await sweep()).toMatchObject({ failed: [], running: ["look-after-runs"], records: [{ name: "plan-night" }] })
  const second = sweep()
  failLate(new Error("too late"))
  expect(await second).toMatchObject({ failed: ["look-after-runs"], running: [] })
  expect(starts).toEqual(["look-after-runs", "plan-night", "plan-night"])
})

test("what ends between two sweeps is told by the second, which starts it again", async () => {
  const { run, fail: failLate } = hold()
  const sweep = runnerOf([duty("look-after-runs", () => (starts.length === 1 ? run() : Promise.resolve()))], 20)
  await sweep()
  failLate(new Error("between"))
  await vi.waitFor(() => expect(lines).toHaveLength(1))
  // The success is the newest of both.
  expect(await sweep()).toMatchObject({ failed: [], records: [{ failures: 0, succeededAt: at }] })
})

test("a duty starts when its time has come, when it left something, or after a failure", async () => {
  let result: "more" | "fail" | undefined
  const run = async () => (result === "fail" ? fail() : result)
  const sweep = runnerOf([duty("delete-expired", run, { everyMs: 200 })])
  const started = async () => {
    starts = []
    await sweep()
    return starts.length
  }
  expect(await started()).toBe(1)
  expect(await started()).toBe(0)
  await wait(210)
  result = "more"
  expect(await started()).toBe(1)
  result = "fail"
  expect(await started()).toBe(1)
  result = undefined
  expect(await started()).toBe(1)
  expect(await started()).toBe(0)
})

test("a process that stops starts no further duty, and what the end of its connections does to one is no failure", async () => {
  const { run, fail: failLate } = hold()
  const sweep = runnerOf([duty("look-after-runs", run), duty("plan-night")])
  const sweeping = sweep()
  stopping.abort()
  failLate(new Error("Pool is closed"))
  expect(await sweeping).toEqual({ records: [], failed: [], running: [] })
  expect(starts).toEqual(["look-after-runs"])
  expect(lines).toEqual([])
})
