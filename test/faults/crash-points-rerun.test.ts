import { afterAll, expect, test } from "vitest"
import { type FaultCloud, startFaultCloud } from "./fault-cloud.ts"
import type { SentVerdict } from "./invariants.ts"
import { leaveOut, proveCrashPoints } from "./prove-crash-points.ts"
import { changePrice, changePrices, fillDate } from "./shop-days.ts"

const date = "2026-03-01"
const bystander = "2026-03-02"

async function openShop(maxRetries: number): Promise<FaultCloud> {
  const cloud = await startFaultCloud({ maxRetries })
  for (const of of [date, bystander]) await fillDate(cloud.connection, of)
  await cloud.start(bystander)
  return cloud
}

let cloud: FaultCloud
afterAll(() => cloud.stop())

test("a planner that dies at any call of a rerun leaves a rerun that completes the day", async () => {
  cloud = await openShop(3)
  let verdict: SentVerdict | undefined
  const { tried, problems, unreached } = await proveCrashPoints(cloud, {
    name: "rerun",
    date,
    callers: /^planner$/,
    // The source changes in the first shard while the last one is computed.
    arrange: async () => {
      await changePrices(cloud.connection, date)
      let isDue = true
      const remove = cloud.cloud.storage.faults.add({
        matches: ({ method, resource }) => method === "storage.objects.insert" && resource.endsWith("/shards/2.json"),
        before: async () => {
          if (isDue) await changePrice(cloud.connection, date, "-9223372036854775808")
          isDue = false
        },
      })
      verdict = await cloud.start(date)
      remove()
      expect(verdict).toMatchObject({ verdict: "incomplete", drifted: [0] })
      await cloud.settle()
    },
    play: async () => void (await cloud.retry(verdict as SentVerdict)),
  })
  await cloud.stop()
  expect(problems).toEqual([])
  expect(unreached).toEqual([])
  expect(tried).toBeGreaterThan(30)
})

test("a task that dies at any call and is not tried again leaves a run that one rerun completes", async () => {
  cloud = await openShop(0)
  const ends: Record<string, number> = { complete: 0, incomplete: 0 }
  let verdict: SentVerdict | undefined
  const { tried, problems, unreached } = await proveCrashPoints(cloud, {
    name: "without retries",
    date,
    callers: /^task 0 attempt 0$/,
    // The first shard stands for the others.
    pick: (calls) => leaveOut(calls, /shard-reports #1$/, /shard-reports #3$/),
    arrange: () => changePrices(cloud.connection, date),
    play: async () => {
      verdict = await cloud.start(date)
      ends[verdict.verdict] = (ends[verdict.verdict] ?? 0) + 1
    },
    mend: async () => {
      if (verdict?.verdict === "incomplete") await cloud.retry(verdict)
    },
  })
  await cloud.stop()
  expect(problems).toEqual([])
  expect(unreached).toEqual([])
  expect(tried).toBeGreaterThan(30)
  expect(ends["incomplete"]).toBeGreaterThan(20)
})
