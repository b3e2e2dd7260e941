import { expect } from "vitest"
import type { SentVerdict } from "./invariants.ts"
import { fewest, leaveOut, proveCrashPoints } from "./prove-crash-points.ts"
import { tries } from "./sample.ts"
import { changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays({ maxRetries: 0 })

test("a task that dies at any call and is not tried again, or is refused any statement of a transaction, leaves a run that one rerun completes", async ({
  cloud,
}) => {
  const ends: Record<string, number> = { complete: 0, incomplete: 0 }
  let verdict: SentVerdict | undefined
  await proveCrashPoints(cloud, {
    pointsMin: 30,
    refusalsMin: 25,
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
  if (tries.crashes) expect(ends["incomplete"]).toBeGreaterThan(fewest(20))
})
