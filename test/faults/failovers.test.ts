import type { RowDataPacket } from "mysql2/promise"
import { expect } from "vitest"
import { listOwnTables, restoreSnapshot, type Snapshot, takeSnapshot } from "../fixtures/database-snapshot.ts"
import type { RecordedCall } from "./call-recorder.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { playCase } from "./play-case.ts"
import { isInSample } from "./sample.ts"
import { changePrices } from "./shop-days.ts"
import { date, testWithTwoDays } from "./two-days.ts"

// A run whose planner believes that it has planned it is given up as early as may be.
const test = testWithTwoDays({ settings: { PLANNING_MINUTES_MAX: "1" } })

/** Before and after each document that is written, each message that is sent, and the execution that is started. */
const POINTS = /: (?:storage\.\S*insert|pubsub\.Publish|run\.RunJob)/
/** How many of those had happened since the moment at which the replica stood. */
const LOST = [1, 4]
const STEPS_MAX = 6

interface NewestRun extends RowDataPacket {
  run_id: string
  state: string
  verdict: string | null
}

async function findNewest(cloud: FaultCloud): Promise<NewestRun | undefined> {
  const [rows] = await cloud.connection.query<NewestRun[]>(
    "SELECT run_id, state, verdict FROM runs WHERE revenue_date = ? ORDER BY version DESC LIMIT 1",
    [date],
  )
  return rows[0]
}

/** What a person does who looks at the day: asks for it if there is no run of it, and for a rerun if that is wanted. */
async function seeThrough(cloud: FaultCloud, before: string | undefined): Promise<void> {
  for (let step = 0; step < STEPS_MAX; step++) {
    await cloud.waitUntilIdle()
    const newest = await findNewest(cloud)
    if (!newest || newest.run_id === before) await cloud.start(date)
    else if (newest.state === "complete") return
    else if (newest.state === "incomplete") await cloud.retry(JSON.parse(newest.verdict ?? "{}"))
    else throw new Error(`stuck run: ${newest.run_id} is ${newest.state}`)
  }
  throw new Error(`stuck run: ${date} is not complete after ${STEPS_MAX} steps`)
}

test("commits that a failover loses, at any document and any message of a run, leave a day that comes right", async ({
  cloud,
}) => {
  // It would keep what was lost.
  await cloud.query("ALTER TABLE shards DROP SYSTEM VERSIONING").catch(() => undefined)
  const tables = await listOwnTables(cloud.connection)
  const observer = await cloud.connect()
  await changePrices(cloud.connection, date)
  await cloud.start(date)
  await cloud.waitUntilIdle()
  await changePrices(cloud.connection, date)
  cloud.recorder.restart()
  await cloud.start(date)
  await cloud.waitUntilIdle()
  const calls: RecordedCall[] = cloud.recorder.calls().filter(({ key }) => POINTS.test(key))
  const cases = calls.flatMap(({ key }) =>
    LOST.flatMap((lost) => (["before", "after"] as const).map((moment) => ({ key, moment, lost }))),
  )
  const problems: string[] = []
  let happened = 0
  for (const { key, moment, lost } of cases.filter(isInSample)) {
    const faults = await playCase(cloud, {
      kind: "failover",
      name: `${lost} back ${moment} ${key}`,
      date,
      wentBack: true,
      play: async () => {
        const before = (await findNewest(cloud))?.run_id
        await changePrices(cloud.connection, date)
        const snapshots: Snapshot[] = [await takeSnapshot(observer, tables)]
        cloud.recorder.restart()
        const stopWatching = cloud.recorder.listen(POINTS, async () => {
          snapshots.push(await takeSnapshot(observer, tables))
        })
        const failing = cloud.recorder.at(key, moment, async () => {
          stopWatching()
          const { target } = cloud.proxy
          cloud.proxy.target = undefined
          cloud.proxy.cut()
          await restoreSnapshot(observer, snapshots.at(-lost) ?? (snapshots[0] as Snapshot))
          cloud.proxy.target = target
        })
        await cloud.publish("run-requests", { date })
        await cloud.waitUntilIdle()
        if (failing.happened()) happened++
        failing.cancel()
        stopWatching()
        await seeThrough(cloud, before)
      },
    })
    problems.push(...faults)
  }
  observer.destroy()
  expect(problems).toEqual([])
  expect(happened).toBeGreaterThan(cases.filter(isInSample).length / 2)
})
