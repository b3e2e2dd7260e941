import { expect } from "vitest"
import type { SentVerdict } from "./invariants.ts"
import { proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices } from "./shop-days.ts"
import { date, driftFirstShard, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays()

test("a planner that dies at any call of a rerun, or is refused any statement of a transaction, leaves a rerun that completes the day", async ({
  cloud,
}) => {
  let verdict: SentVerdict | undefined
  await proveCrashPoints(cloud, {
    pointsMin: 30,
    refusalsMin: 45,
    name: "rerun",
    date,
    callers: /^planner$/,
    // The source changes in the first shard while the last one is computed.
    arrange: async () => {
      await changePrices(cloud.connection, date)
      const remove = driftFirstShard(cloud)
      verdict = await cloud.start(date)
      remove()
      expect(verdict).toMatchObject({ verdict: "incomplete", drifted: [0] })
      await cloud.waitUntilIdle()
    },
    play: async () => void (await cloud.retry(verdict as SentVerdict)),
  })
})
