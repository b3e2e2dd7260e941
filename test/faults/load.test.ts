import { readFileSync } from "node:fs"
import { afterEach, expect, test } from "vitest"
import { type FaultCloud, startFaultCloud } from "./fault-cloud.ts"
import { findFaults, readShop } from "./invariants.ts"
import { tally } from "./tally.ts"

/*
 * Not part of the faults: it measures. `npm run test:faults -- --load`
 */

const isAsked = process.env["FAULTS_LOAD"] !== undefined

/** Of one run: how many shards, and what each process has for it. V8's heap is a half of a container's memory. */
const SIZES = [
  { shards: 10, heapMib: 64 },
  { shards: 10_000, heapMib: 64 },
  { shards: 50_000, heapMib: 256 },
]
const DEPLOYED_MIB = 512
/** Times the peak of the smallest run, which ends before V8 has made use of the heap that it has. */
const GROWTH_MAX = 1.75
const smallest = { planner: Number.NaN, finalizer: Number.NaN, task: Number.NaN }

const DATES = 50

let cloud: FaultCloud | undefined
afterEach(() => cloud?.stop())

/** One user for each shard, with one purchase. */
async function fillShards(at: FaultCloud, date: string, shards: number): Promise<void> {
  await at.query(
    `INSERT INTO purchases (user_id, amount_cents, purchased_at) SELECT seq * 3, seq, '${date} 10:00:00' FROM seq_1_to_${shards}`,
  )
}

/** Samples what can grow, until it is told to stop. */
function watchGrowth(at: FaultCloud) {
  const peak = { connections: 0, mebibytes: { planner: 0, finalizer: 0, task: 0 } }
  const timer = setInterval(() => {
    const { planner, finalizer } = at.cloud.services
    const measure = (name: keyof typeof peak.mebibytes, pid: number | undefined) => {
      if (pid !== undefined) peak.mebibytes[name] = Math.max(peak.mebibytes[name], peakMebibytes(pid))
    }
    measure("planner", planner.pid)
    measure("finalizer", finalizer.pid)
    for (const task of at.cloud.runJobs.tasks()) measure("task", task.pid)
  }, 200)
  return () => {
    clearInterval(timer)
    return { ...peak, connections: at.proxy.counts.peak }
  }
}

/** What a process has had at most, resident. */
function peakMebibytes(pid: number): number {
  try {
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024)
  } catch {
    return 0
  }
}

test.runIf(isAsked).each(SIZES)(
  "$shards shards of one run go through with a heap of $heapMib MiB",
  async ({ shards, heapMib }) => {
    const date = "2026-03-01"
    const settings = { NODE_OPTIONS: `--max-old-space-size=${heapMib} --max-semi-space-size=1` }
    cloud = await startFaultCloud({ parallelism: 2, shardPurchases: 1, patienceMs: 20 * 60_000, settings })
    cloud.recorder.stop()
    await fillShards(cloud, date, shards)
    // The audit's history has the keys of what it is a history of: whoever looks for an offered shard would pass all of
    // those that were.
    await cloud.query("ALTER TABLE shards DROP SYSTEM VERSIONING")
    const stop = watchGrowth(cloud)
    const startedAt = performance.now()
    const requestId = await cloud.publish("run-requests", { date })
    const marks: Record<string, number> = {}
    await cloud.waitFor("the execution", () => ((cloud?.cloud.runJobs.tasks().length ?? 0) > 0 ? true : undefined))
    marks["plannedSeconds"] = (performance.now() - startedAt) / 1000
    await cloud.waitFor("the last task", () => (cloud?.cloud.runJobs.tasks().length === 0 ? true : undefined))
    marks["computedSeconds"] = (performance.now() - startedAt) / 1000
    expect(await cloud.awaitVerdict(requestId)).toMatchObject({ verdict: "complete", shards })
    marks["verdictSeconds"] = (performance.now() - startedAt) / 1000
    await cloud.waitUntilIdle()
    const growth = stop()
    console.log(JSON.stringify({ shards, ...marks, ...growth }))
    for (const name of ["planner", "finalizer", "task"] as const) {
      const mebibytes = growth.mebibytes[name]
      expect(mebibytes).toBeLessThan(DEPLOYED_MIB)
      if (heapMib === 64) expect(mebibytes).toBeLessThan((smallest[name] ||= mebibytes) * GROWTH_MAX)
    }
    // A process that had too little was started again, and all went through nevertheless.
    expect(await cloud.readLogs()).not.toContain("heap out of memory")
    await cloud.query("ALTER TABLE shards ADD SYSTEM VERSIONING")
    const faults = await findFaults(cloud.evidence(), date, {
      rows: await readShop(cloud.connection, date),
      complete: true,
    })
    tally({ kind: "load", name: `${shards} shards`, faults, seconds: marks["verdictSeconds"] })
    expect(faults).toEqual([])
  },
)

test.runIf(isAsked)(`${DATES} dates at once go through within the connections they are given`, async () => {
  cloud = await startFaultCloud({ parallelism: 1, shardPurchases: 5, patienceMs: 20 * 60_000 })
  cloud.recorder.stop()
  const dates = Array.from({ length: DATES }, (_, n) => new Date(Date.UTC(2026, 0, 1 + n)).toISOString().slice(0, 10))
  for (const date of dates) await fillShards(cloud, date, 15)
  const stop = watchGrowth(cloud)
  const startedAt = performance.now()
  const requests = await Promise.all(dates.map((date) => (cloud as FaultCloud).publish("run-requests", { date })))
  for (const requestId of requests) {
    expect(await cloud.awaitVerdict(requestId)).toMatchObject({ verdict: "complete" })
  }
  const seconds = (performance.now() - startedAt) / 1000
  await cloud.waitUntilIdle()
  const growth = stop()
  console.log(JSON.stringify({ dates: DATES, seconds, ...growth }))
  // One for each task, four each for planner and finalizer.
  expect(growth.connections).toBeLessThanOrEqual(DATES + 8)
  const faults: string[] = []
  for (const date of dates) {
    const rows = await readShop(cloud.connection, date)
    faults.push(...(await findFaults(cloud.evidence(), date, { rows, complete: true })))
  }
  tally({ kind: "load", name: `${DATES} dates at once`, faults, seconds })
  expect(faults).toEqual([])
})
