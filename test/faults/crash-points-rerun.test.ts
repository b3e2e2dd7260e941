import { expect } from "vitest"
import type { SentVerdict } from "./invariants.ts"
import { fewest, proveCrashPoints } from "./prove-crash-points.ts"
import { changePrice, changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays()

test("a planner that dies at any call of a rerun leaves a rerun that completes the day", async ({ cloud }) => {
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
  expect(problems).toEqual([])
  expect(unreached).toEqual([])
  expect(tried.length).toBeGreaterThan(fewest(30))
})
