import { leaveOut, proveCrashPoints } from "./prove-crash-points.ts"
import { changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const test = testWithTwoDays()

test("a finalizer that dies at any call of a sweep, or is refused any statement of a transaction, leaves a run that comes right by the next sweep", async ({
  cloud,
}) => {
  let requestId = ""
  await proveCrashPoints(cloud, {
    pointsMin: 30,
    refusalsMin: 40,
    name: "sweep",
    date,
    callers: /^finalizer$/,
    // A crash from the closing of the run to its announcement is the same as without a sweep. A refusal is not: the sweep
    // itself goes on.
    pick: (calls, kind) => (kind === "refusal" ? calls : leaveOut(calls, /begin #1$/, /commit #2$/)),
    // What is old enough to be forgotten is looked for once in an hour.
    atStart: /newest_version|from `audits` inner join|count from `day_changes`/,
    // Every report is lost: the run is over and nobody says so.
    arrange: async () => {
      // The finalizer may just have been killed by the case before; older versions are pruned now, and not by the case.
      await cloud.waitFor("a sweep", () =>
        cloud.cloud.sweep().then(
          () => true,
          () => undefined,
        ),
      )
      await changePrices(cloud.connection, date)
      let lost = 0
      // Nor may a sweep find that out before it is its turn.
      const resumeSweeps = cloud.pauseSweeps()
      cloud.relay.plan = ({ path }) => {
        if (path !== "/shard-reports") return { delaysMs: [0] }
        lost++
        return { delaysMs: [] }
      }
      requestId = await cloud.publish("run-requests", { date })
      await cloud.waitFor("the last report", async () => {
        const [run] = await cloud.query<{ shards: number }>(
          "SELECT shard_count AS shards FROM runs WHERE request_id = ?",
          [requestId],
        )
        return (run?.shards && lost >= run.shards && cloud.cloud.runJobs.tasks().length === 0) || undefined
      })
      cloud.relay.plan = () => ({ delaysMs: [0] })
      resumeSweeps()
    },
    play: async () => {
      await cloud.cloud.sweep().catch(() => undefined)
      await cloud.awaitVerdict(requestId)
    },
  })
})
