import { expect } from "vitest"
import { proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices, fillDate } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

// A check holds a day of more than a thousand purchases whose amount is negative.
const USERS = 400

const test = testWithTwoDays({ shardPurchases: 500 })

test("a finalizer that dies at any call of a release, or is refused any statement of a transaction, leaves the day shown, as it was held", async ({
  cloud,
}) => {
  await fillDate(cloud.connection, date, USERS)
  await cloud.query("UPDATE purchases SET amount_cents = -1000 - amount_cents WHERE purchased_on = ?", [date])
  await proveCrashPoints(cloud, {
    pointsMin: 20,
    refusalsMin: 25,
    name: "release",
    date,
    callers: /^finalizer$/,
    arrange: async () => {
      await changePrices(cloud.connection, date)
      const held = await cloud.awaitVerdict(await cloud.publish("run-requests", { date }))
      expect(held).toMatchObject({ verdict: "held" })
      await cloud.waitUntilIdle()
    },
    play: async () => {
      const released = await cloud.awaitVerdict(await cloud.publish("release-requests", { date }))
      expect(released).toMatchObject({ verdict: "complete" })
    },
  })
})
