import { expect } from "vitest"
import { proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays()

test("a finalizer or planner that dies at any call of a pause, or is refused any statement of a transaction, leaves a run that goes on with it, and ends complete", async ({
  cloud,
}) => {
  const awaitPause = (paused: boolean) =>
    cloud.waitFor(paused ? "the pause" : "its end", async () => {
      const [row] = await cloud.query("SELECT paused FROM controls WHERE name = 'runs'")
      return Number(row?.["paused"]) === Number(paused) || undefined
    })
  await proveCrashPoints(cloud, {
    pointsMin: 60,
    refusalsMin: 110,
    name: "pause",
    date,
    callers: /^(planner|finalizer)$/,
    arrange: () => changePrices(cloud.connection, date),
    play: async () => {
      await cloud.publish("pause-requests", { paused: true })
      await awaitPause(true)
      const request = await cloud.publish("run-requests", { date })
      await cloud.waitFor("a run that waits", async () => {
        const rows = await cloud.query("SELECT 1 FROM runs WHERE request_id = ? AND state = 'waiting'", [request])
        return rows.length > 0 || undefined
      })
      await cloud.publish("pause-requests", { paused: false })
      await awaitPause(false)
      expect(await cloud.awaitVerdict(request)).toMatchObject({ verdict: "complete" })
    },
  })
})
