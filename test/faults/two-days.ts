import { test } from "vitest"
import { type FaultCloud, type FaultCloudOptions, startFaultCloud } from "./fault-cloud.ts"
import { fillDate } from "./shop-days.ts"

/** The date whose runs go wrong. */
export const date = "2026-03-01"
/** A date that is complete, and that nothing may change. */
export const bystander = "2026-03-02"

/** Tests of one file with one cloud, whose shop has both dates; only the bystander is computed. */
export function testWithTwoDays(options: FaultCloudOptions = {}) {
  return test.extend<{ cloud: FaultCloud }>({
    cloud: [
      // oxlint-disable-next-line no-empty-pattern -- vitest reads from the pattern which fixtures this one needs
      async ({}, use) => {
        const cloud = await startFaultCloud(options)
        try {
          for (const of of [date, bystander]) await fillDate(cloud.connection, of)
          await cloud.start(bystander)
          await use(cloud)
        } finally {
          await cloud.stop()
        }
      },
      { scope: "file" },
    ],
  })
}
