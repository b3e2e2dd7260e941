import { expect } from "vitest"
import type { Moment, RecordedCall } from "./call-recorder.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { playCase } from "./play-case.ts"
import { EVERY, isInSample } from "./sample.ts"

/** A way to a verdict, in which each call is a crash point. */
export interface Scenario {
  name: string
  date: string
  /** Which callers are killed. */
  callers: RegExp
  /** Prepares a run; its calls are no crash points. */
  arrange?: () => Promise<void>
  /** From here on every call is a crash point, until the verdict. */
  play(): Promise<void>
  /** What a person does if the run is incomplete. */
  mend?: () => Promise<void>
  /** The calls that are tried, of all that were recorded: the others are the same as some of these. */
  pick?: (calls: RecordedCall[]) => RecordedCall[]
  /** Calls that a process makes only in its first minutes: to be killed at one, it is started anew. */
  atStart?: RegExp
  /** At least so many crash points there are. */
  pointsMin: number
}

// A connection of a pool is set up like the first; how many there are depends on the moment.
const FURTHER_SETUP = /^(?:planner|finalizer): database\.(?:connect|query SET SESSION .*) #(?!1$)\d+$/
const SETUP = /: database\.(?:connect|query SET SESSION .*) #1$/

/** Of so many crash points in all, how many are tried at least; half as many in a sample, which falls as it falls. */
export const fewest = (points: number): number => Math.floor(points / (EVERY > 1 ? 2 * EVERY : 1)) - 1

const PROBLEMS_MAX = 20

/**
 * Records a run, then repeats it for each of its calls, with the caller killed just before the call reaches its server
 * and just after the server has answered. Expects that nothing was wrong and that every crash point was reached.
 */
export async function proveCrashPoints(cloud: FaultCloud, scenario: Scenario) {
  const keys = await recordKeys(cloud, scenario)
  const problems: string[] = []
  const tried: string[] = []
  const unreached: string[] = []
  for (const point of keys) {
    const first = await tryCrashPoint(cloud, scenario, point)
    // What two of a process's calls do at once may come in another order.
    const second = first.happened ? undefined : await tryCrashPoint(cloud, scenario, point)
    problems.push(...first.faults, ...(second?.faults ?? []))
    if (first.happened || second?.happened) tried.push(nameOf(scenario, point))
    // A call that a recording does not have again, such as a second delivery's, is no crash point of every run.
    else if (await isMadeAgain(cloud, scenario, point)) unreached.push(nameOf(scenario, point))
    if (problems.length > PROBLEMS_MAX) break
  }
  expect(problems).toEqual([])
  expect(unreached).toEqual([])
  expect(tried.length).toBeGreaterThan(fewest(scenario.pointsMin))
}

const nameOf = (scenario: Scenario, { key, moment }: CrashPoint) => `${scenario.name}: killed ${moment} ${key}`

async function tryCrashPoint(cloud: FaultCloud, scenario: Scenario, point: CrashPoint) {
  let happened = false
  const faults = await playCase(cloud, {
    kind: "crash point",
    name: nameOf(scenario, point),
    date: scenario.date,
    play: async () => {
      await scenario.arrange?.()
      if (point.needsRestart) await restartServices(cloud)
      cloud.recorder.restart()
      const killing = cloud.recorder.killAt(point.key, point.moment)
      await scenario.play()
      await scenario.mend?.()
      await cloud.waitUntilIdle()
      happened = killing.happened()
      killing.cancel()
    },
  })
  return { happened, faults }
}

interface CrashPoint {
  key: string
  moment: Moment
  needsRestart: boolean
}

async function recordKeys(cloud: FaultCloud, scenario: Scenario): Promise<CrashPoint[]> {
  // The first run of a date makes calls that its repetitions do not, such as the row of a day that is shown.
  await scenario.arrange?.()
  await scenario.play()
  await scenario.mend?.()
  await cloud.waitUntilIdle()
  const calls = await recordCalls(cloud, scenario)
  const points: CrashPoint[] = []
  for (const call of EVERY === 0 ? calls : (scenario.pick?.(calls) ?? calls)) {
    const isService = !call.caller.startsWith("task")
    const needsRestart = isService && (SETUP.test(call.key) || scenario.atStart?.test(call.key) === true)
    for (const moment of ["before", "after"] as const) points.push({ key: call.key, moment, needsRestart })
  }
  return points.filter(isInSample)
}

async function isMadeAgain(cloud: FaultCloud, scenario: Scenario, point: CrashPoint): Promise<boolean> {
  return (await recordCalls(cloud, scenario)).some(({ key }) => key === point.key)
}

/** Services that have just been started set up connections too: the recording begins with them. */
async function recordCalls(cloud: FaultCloud, scenario: Scenario): Promise<RecordedCall[]> {
  await scenario.arrange?.()
  await restartServices(cloud)
  // A sweep that comes by chance would be another crash point in every recording.
  const resumeSweeps = cloud.pauseSweeps()
  cloud.recorder.restart()
  await scenario.play()
  await cloud.waitUntilIdle()
  resumeSweeps()
  const calls = cloud.recorder
    .calls()
    .filter(({ caller, key }) => scenario.callers.test(caller) && !FURTHER_SETUP.test(key))
  await scenario.mend?.()
  return calls
}

async function restartServices(cloud: FaultCloud): Promise<void> {
  for (const service of Object.values(cloud.cloud.services)) {
    const { restarts } = service
    service.kill("SIGKILL")
    await cloud.waitFor("a restart", () => (service.restarts > restarts ? true : undefined))
    await service.ready()
  }
}

/** All but the calls between two others: what is done for a shard in the middle is what is done for the others. */
export function leaveOut(calls: RecordedCall[], after: RegExp, until: RegExp): RecordedCall[] {
  const first = calls.findIndex(({ key }) => after.test(key))
  const last = calls.findIndex(({ key }) => until.test(key))
  if (first < 0 || last < 0) throw new Error(`there are no calls between ${after} and ${until}`)
  return calls.filter((_call, at) => at <= first || at > last)
}
