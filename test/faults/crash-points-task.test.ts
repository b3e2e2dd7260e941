import { leaveOut, proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays()

test("a task that dies at any call, or is refused any statement of a transaction, leaves a run that comes right by its next attempt", async ({
  cloud,
}) => {
  await proveCrashPoints(cloud, {
    pointsMin: 45,
    refusalsMin: 45,
    name: "run",
    date,
    callers: /^task 0 attempt 0$/,
    pick: (calls) => leaveOut(calls, /shard-reports #1$/, /shard-reports #2$/),
    arrange: () => changePrices(cloud.connection, date),
    play: async () => void (await cloud.start(date)),
  })
})
