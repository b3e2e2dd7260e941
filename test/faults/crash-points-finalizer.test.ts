import { proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays()

test("a finalizer that dies at any call of a run, or is refused any statement of a transaction, leaves a run that comes right", async ({
  cloud,
}) => {
  await proveCrashPoints(cloud, {
    pointsMin: 55,
    refusalsMin: 40,
    name: "run",
    date,
    callers: /^finalizer$/,
    arrange: () => changePrices(cloud.connection, date),
    play: async () => void (await cloud.start(date)),
  })
})
