import { afterAll, beforeAll, expect, test } from "vitest"
import { type FaultCloud, startFaultCloud } from "./fault-cloud.ts"
import { fewest, leaveOut, proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices, fillDate } from "./shop-days.ts"

let cloud: FaultCloud
const date = "2026-03-01"
const bystander = "2026-03-02"

beforeAll(async () => {
  cloud = await startFaultCloud()
  for (const of of [date, bystander]) await fillDate(cloud.connection, of)
  await cloud.start(bystander)
})
afterAll(() => cloud.stop())

test("a task that dies at any call leaves a run that comes right by its next attempt", async () => {
  const { tried, problems, unreached } = await proveCrashPoints(cloud, {
    name: "run",
    date,
    callers: /^task 0 attempt 0$/,
    pick: (calls) => leaveOut(calls, /shard-reports #1$/, /shard-reports #2$/),
    arrange: () => changePrices(cloud.connection, date),
    play: async () => void (await cloud.start(date)),
  })
  expect(problems).toEqual([])
  expect(unreached).toEqual([])
  expect(tried.length).toBeGreaterThan(fewest(45))
})
