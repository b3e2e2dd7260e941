import { expect } from "vitest"
import { fewest, proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays()

test("a finalizer that dies at any call of a run leaves a run that comes right", async ({ cloud }) => {
  const { tried, problems, unreached } = await proveCrashPoints(cloud, {
    name: "run",
    date,
    callers: /^finalizer$/,
    arrange: () => changePrices(cloud.connection, date),
    play: async () => void (await cloud.start(date)),
  })
  expect(problems).toEqual([])
  expect(unreached).toEqual([])
  expect(tried.length).toBeGreaterThan(fewest(55))
})
