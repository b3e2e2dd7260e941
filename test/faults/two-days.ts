import { expect, test } from "vitest"
import { type FaultCloud, type FaultCloudOptions, startFaultCloud } from "./fault-cloud.ts"
import { playCase } from "./play-case.ts"
import { changePrice, changePrices, fillDate } from "./shop-days.ts"
import type { CaseKind } from "./tally.ts"

/** The date whose runs go wrong. */
export const date = "2026-03-01"
/** A date that is complete, and that nothing may change. */
const bystander = "2026-03-02"

/** A cloud whose shop has both dates; only the bystander is computed. */
export async function startTwoDays(options: FaultCloudOptions = {}): Promise<FaultCloud> {
  const cloud = await startFaultCloud(options)
  try {
    for (const of of [date, bystander]) await fillDate(cloud.connection, of)
    await cloud.start(bystander)
    return cloud
  } catch (error) {
    await cloud.stop()
    throw error
  }
}

/** Tests of one file with one such cloud. */
export function testWithTwoDays(options: FaultCloudOptions = {}) {
  return test.extend<{ cloud: FaultCloud }>({
    cloud: [
      // oxlint-disable-next-line no-empty-pattern -- vitest reads from the pattern which fixtures this one needs
      async ({}, use) => {
        const cloud = await startTwoDays(options)
        try {
          await use(cloud)
        } finally {
          await cloud.stop()
        }
      },
      { scope: "file" },
    ],
  })
}

/** Plays a case of the date with prices of its own, to the end of all that it sets going, and expects nothing wrong. */
export async function expectSound(cloud: FaultCloud, kind: CaseKind, name: string, steps: () => Promise<void>) {
  const faults = await playCase(cloud, {
    kind,
    name,
    date,
    play: async () => {
      await changePrices(cloud.connection, date)
      await steps()
    },
  })
  expect(faults).toEqual([])
}

/** While a run is computed, a purchase of its first shard changes: once, when the manifest of shard 2 is written. */
export function driftFirstShard(cloud: FaultCloud): () => void {
  let isDue = true
  return cloud.cloud.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.endsWith("/shards/2.json"),
    before: async () => {
      if (isDue) await changePrice(cloud.connection, date, "-9223372036854775808")
      isDue = false
    },
  })
}
