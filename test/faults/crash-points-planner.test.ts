import { afterAll, beforeAll, expect, test } from "vitest"
import { type FaultCloud, startFaultCloud } from "./fault-cloud.ts"
import { fewest, proveCrashPoints } from "./prove-crash-points.ts"
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

test("a planner that dies at any call of a run leaves a run that comes right", async () => {
  const { tried, problems, unreached } = await proveCrashPoints(cloud, {
    name: "run",
    date,
    callers: /^planner$/,
    arrange: () => changePrices(cloud.connection, date),
    play: async () => void (await cloud.start(date)),
  })
  expect(problems).toEqual([])
  expect(unreached).toEqual([])
  expect(tried.length).toBeGreaterThan(fewest(40))
})
