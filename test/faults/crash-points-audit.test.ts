import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { expect } from "vitest"
import type { FaultCloud } from "./fault-cloud.ts"
import { leaveOut, proveCrashPoints } from "./prove-crash-points.ts"
import { date, testWithTwoDays } from "./two-days.ts"

// A day of any age is repaired.
const test = testWithTwoDays({ settings: { REPAIR_DAYS: "3660" } })

interface DayChange {
  changeId: string
  date: string
  state: string
  version: number
}

/** What was told of the date, each change once, in the order of the first time. */
function listChanges(cloud: FaultCloud): DayChange[] {
  const all = cloud.cloud.pubsub
    .messages("projects/local/topics/day-changes")
    .map((message) => JSON.parse(message.data.toString()) as DayChange)
    .filter((change) => change.date === date)
  return [...new Map(all.map((change) => [change.changeId, change])).values()]
}

async function hasFailed(cloud: FaultCloud, requestId: string): Promise<boolean> {
  const rows = await cloud.query("SELECT 1 FROM audits WHERE request_id = ? AND state = 'failed'", [requestId])
  return rows.length > 0
}

test("a finalizer that dies at any call of an audit, or is refused any statement of a transaction, leaves one that is carried out, told and repaired once", async ({
  cloud,
}) => {
  const changes = () => listChanges(cloud)
  await cloud.start(date)
  await cloud.waitFor("the day to be told", () => changes()[0])
  let before: number
  await proveCrashPoints(cloud, {
    pointsMin: 30,
    refusalsMin: 45,
    name: "audit",
    date,
    callers: /^finalizer$/,
    // What follows the repair's request is a run like any other, up to what is told of it.
    pick: (calls) => leaveOut(calls, /`repair_asked_at` = NOW.* #1$/, /topics\/run-verdicts #1$/),
    // One user's purchases change hands, and those of another come back: never the same day twice.
    arrange: async () => {
      before = changes().length
      await cloud.query(
        "UPDATE purchases SET user_id = IF(user_id = 7, 14, 7) WHERE purchased_on = ? AND user_id IN (7, 14)",
        [date],
      )
      await cloud.query("UPDATE purchases SET amount_cents = amount_cents + 1 WHERE purchased_on = ? AND user_id = 7", [
        date,
      ])
    },
    play: async (lasts) => {
      let requestId = await cloud.publish("audit-requests", { date })
      await cloud.waitFor("the repair to be told", async () => {
        // Its reason is for a person, who asks for the date again.
        if (lasts && (await hasFailed(cloud, requestId))) requestId = await cloud.publish("audit-requests", { date })
        return changes()[before + 1]
      })
      expect(
        changes()
          .slice(before)
          .map(({ state }) => state),
      ).toEqual(["drifted", "repaired"])
      const [audit] = await cloud.query<{ state: string; audited_at: string; repair: string }>(
        "SELECT state, audited_at, repair FROM audits WHERE request_id = ?",
        [requestId],
      )
      expect(audit).toMatchObject({ state: "drifted" })
      const runs = await cloud.query("SELECT run_id FROM runs WHERE repair_of LIKE ?", [`%${requestId}%`])
      expect(runs).toHaveLength(1)
      const documents = await readdir(join(cloud.evidence().bucket, "audits", date))
      expect(documents.filter((name) => name.includes(requestId))).toHaveLength(1)
    },
  })
})
