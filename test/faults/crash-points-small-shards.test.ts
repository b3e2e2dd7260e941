import { afterAll, beforeAll, test } from "vitest"
import type { FaultCloud } from "./fault-cloud.ts"
import { proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices } from "./shop-days.ts"
import { startSmallShards } from "./small-shards.ts"
import { date } from "./two-days.ts"

let cloud: FaultCloud

beforeAll(async () => {
  cloud = await startSmallShards()
})
afterAll(() => cloud.stop())

test("a task that dies at any call of several shards, or is refused any statement of a transaction, leaves a run that comes right by its next attempt", async () => {
  await proveCrashPoints(cloud, {
    pointsMin: 60,
    refusalsMin: 70,
    name: "small shards",
    date,
    callers: /^task 0 attempt 0$/,
    // What comes then is the same; how many go together depends on how fast the ones before were.
    pick: (calls) => calls.slice(0, calls.findIndex(({ key }) => key.endsWith("shard-reports #4")) + 1),
    arrange: () => changePrices(cloud.connection, date),
    play: async () => void (await cloud.start(date)),
  })
})
