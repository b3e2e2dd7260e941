import { expect } from "vitest"
import { proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays()

test("a finalizer that dies at any call of a cancellation, or is refused any statement of a transaction, leaves a run that is cancelled, and a date that is free", async ({
  cloud,
}) => {
  let release = () => {}
  await proveCrashPoints(cloud, {
    pointsMin: 15,
    refusalsMin: 15,
    name: "cancel",
    date,
    callers: /^finalizer$/,
    // The run is at work for as long as its first manifest is not written.
    arrange: async () => {
      await changePrices(cloud.connection, date)
      const released = Promise.withResolvers<void>()
      const remove = cloud.cloud.storage.faults.add({
        matches: ({ method, resource }) => method === "storage.objects.insert" && resource.includes("/shards/"),
        before: () => released.promise,
      })
      release = () => {
        remove()
        released.resolve()
      }
      await cloud.publish("run-requests", { date })
      await cloud.waitFor("a run at work", async () => {
        const rows = await cloud.query("SELECT 1 FROM runs WHERE state = 'running' AND revenue_date = ?", [date])
        return (rows.length > 0 && cloud.cloud.runJobs.tasks().length > 0) || undefined
      })
    },
    play: async () => {
      const verdict = await cloud.awaitVerdict(await cloud.publish("cancel-requests", { date }))
      release()
      expect(verdict).toMatchObject({ verdict: "cancelled" })
    },
    mend: async () => void (await cloud.start(date)),
  })
})
