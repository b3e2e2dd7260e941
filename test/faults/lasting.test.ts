import { afterAll, beforeAll, expect, test } from "vitest"
import type { Call } from "../../services/emulators/faults.ts"
import { SqlError } from "./database-proxy.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { date, expectSound, startTwoDays } from "./two-days.ts"

/*
 * What a server refuses for as long as nobody does anything about it: no privilege, a column or an index that is gone. A
 * request must come to a verdict that says so, and its date be free: as soon as the reason is gone, it is computed.
 */

let cloud: FaultCloud

beforeAll(async () => {
  // A minute is the least; it is what verification takes here.
  cloud = await startTwoDays({ parallelism: 2, patienceMs: 150_000, settings: { VERIFYING_MINUTES_MAX: "1" } })
})
afterAll(() => cloud.stop())

const denied = () => new SqlError(1142, "42000", "SELECT command denied to user 'daybook' for table 'purchases'")
const noColumn = () => new SqlError(1054, "42S22", "Unknown column 'amount_cents' in 'SELECT'")
const noIndex = () => new SqlError(1176, "42000", "Key 'purchases_day_slice' doesn't exist in table 'purchases'")

test.each<[string, RegExp, () => SqlError, string]>([
  ["the indexes are looked at", /information_schema\.STATISTICS/, denied, "rejected"],
  ["the day is planned", /ORDER BY .*user_id.* LIMIT 1/, noIndex, "rejected"],
  ["dispatch 0 is opened", /^insert into `dispatches`/, denied, "rejected"],
  ["a shard is claimed", /LAST_INSERT_ID/, denied, "incomplete"],
  ["a shard is computed", /^\s*INSERT INTO `revenue_versions`/, noColumn, "incomplete"],
  ["a shard is marked done", /^update `shards` set `state` = 'done'/, denied, "incomplete"],
  ["the run is verified", /^\s*SELECT .*AS arm/, noColumn, "incomplete"],
])(
  "refused whenever %s, a request comes to a verdict that says so, and its date is free",
  async (when, pattern, error, outcome) => {
    await expectSound(cloud, "server fault", `refused whenever ${when}`, async () => {
      const remove = cloud.proxy.faults.add({
        matches: (call: Call) => call.server === "database" && pattern.test(String(call.request)),
        before: () => {
          throw error()
        },
      })
      const verdict = await cloud.awaitVerdict(await cloud.publish("run-requests", { date }))
      remove()
      expect(verdict).toMatchObject({ verdict: outcome })
      if (when !== "a shard is claimed") expect(verdict["reason"]).toMatch(/denied|Unknown column|Key 'purchases/)
      expect(await cloud.awaitVerdict(await cloud.publish("run-requests", { date }))).toMatchObject({
        verdict: "complete",
      })
    })
  },
)
