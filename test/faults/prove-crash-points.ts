import { expect } from "vitest"
import type { Armed, RecordedCall } from "./call-recorder.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { playCase } from "./play-case.ts"
import { listRefusals, refuseAt } from "./refusals.ts"
import { EVERY, isInSample, tries } from "./sample.ts"

/** A way to a verdict, in which each call is a crash point. */
export interface Scenario {
  name: string
  date: string
  /** Which callers are killed. */
  callers: RegExp
  /** Prepares a run; its calls are no crash points. */
  arrange?: () => Promise<void>
  /**
   * From here on every call is a crash point, until the verdict. If something `lasts`, what does not come right by itself may
   * be asked for once more, as a person would.
   */
  play(lasts: boolean): Promise<void>
  /** What a person does if the run is incomplete. */
  mend?: () => Promise<void>
  /** The calls that are tried, of all that were recorded: the others are the same as some of these. */
  pick?: (calls: RecordedCall[], kind: Point["kind"]) => RecordedCall[]
  /** Calls that a process makes only in its first minutes: to be killed at one, it is started anew. */
  atStart?: RegExp
  /** At least so many crash points there are. */
  pointsMin: number
  /** At least so many refusals of statements. */
  refusalsMin: number
}

// A connection of a pool is set up like the first; how many there are depends on the moment.
const FURTHER_SETUP = /^(?:planner|finalizer): database\.(?:connect|query SET SESSION .*) #(?!1$)\d+$/
const SETUP = /: database\.(?:connect|query SET SESSION .*) #1$/

/** Of so many crash points in all, how many are tried at least; half as many in a sample, which falls as it falls. */
export const fewest = (points: number): number => Math.floor(points / (EVERY > 1 ? 2 * EVERY : 1)) - 1

const PROBLEMS_MAX = 20

/**
 * Records a run, then repeats it for each of its calls, with the caller killed just before the call reaches its server
 * and just after the server has answered; and for each statement of its transactions, with that statement refused. Expects
 * that nothing was wrong and that every point was reached.
 */
export async function proveCrashPoints(cloud: FaultCloud, scenario: Scenario) {
  const points = await recordPoints(cloud, scenario)
  const problems: string[] = []
  const tried: Point[] = []
  const unreached: string[] = []
  for (const point of points) {
    const first = await tryPoint(cloud, scenario, point)
    // What two of a process's calls do at once may come in another order.
    const second = first.happened ? undefined : await tryPoint(cloud, scenario, point)
    problems.push(...first.faults, ...(second?.faults ?? []))
    if (first.happened || second?.happened) tried.push(point)
    // A call that a recording does not have again, such as a second delivery's, is no point of every run.
    else if (await isMadeAgain(cloud, scenario, point)) unreached.push(point.name)
    if (problems.length > PROBLEMS_MAX) break
  }
  expect(problems).toEqual([])
  expect(unreached).toEqual([])
  const countTried = (kind: Point["kind"]) => tried.filter((point) => point.kind === kind).length
  if (tries.crashes) expect(countTried("crash point")).toBeGreaterThan(fewest(scenario.pointsMin))
  if (tries.refusals) expect(countTried("refusal")).toBeGreaterThan(fewest(scenario.refusalsMin))
}

async function tryPoint(cloud: FaultCloud, scenario: Scenario, point: Point) {
  let happened = false
  const faults = await playCase(cloud, {
    kind: point.kind,
    name: point.name,
    date: scenario.date,
    play: async () => {
      await scenario.arrange?.()
      if (point.needsRestart) await restartServices(cloud)
      cloud.recorder.restart()
      const armed = point.arm()
      await scenario.play(point.isLasting)
      await scenario.mend?.()
      if (point.isLasting) await rerunIncomplete(cloud, scenario.date)
      await cloud.waitUntilIdle()
      happened = armed.happened()
      armed.cancel()
    },
  })
  return { happened, faults }
}

/** What a person does about a shard that failed by an error that is not tried again: one rerun must mend it. */
async function rerunIncomplete(cloud: FaultCloud, date: string): Promise<void> {
  await cloud.waitUntilIdle()
  const [newest] = await cloud.query<{ runId: string; state: string }>(
    "SELECT run_id AS runId, state FROM runs WHERE revenue_date = ? ORDER BY version DESC LIMIT 1",
    [date],
  )
  const verdict = cloud
    .verdicts()
    .findLast(({ runId, verdict: said }) => runId === newest?.runId && said !== "rejected")
  if (newest?.state === "incomplete" && verdict) await cloud.retry(verdict)
}

interface Point {
  kind: "crash point" | "refusal"
  name: string
  key: string
  needsRestart: boolean
  /** Whether a person may have to mend what it leaves, by one rerun. */
  isLasting: boolean
  arm(): Armed
}

async function recordPoints(cloud: FaultCloud, scenario: Scenario): Promise<Point[]> {
  // The first run of a date makes calls that its repetitions do not, such as the row of a day that is shown.
  await scenario.arrange?.()
  await scenario.play(false)
  await scenario.mend?.()
  await cloud.waitUntilIdle()
  const all = await recordCalls(cloud, scenario)
  const choose = (kind: Point["kind"]) => (EVERY === 0 ? all : (scenario.pick?.(all, kind) ?? all))
  const crashes = choose("crash point").flatMap((call) => listCrashes(cloud, scenario, call))
  const refusals = choose("refusal").flatMap((call, at) => listRefused(cloud, scenario, call, at))
  return [...(tries.crashes ? crashes.filter(isInSample) : []), ...(tries.refusals ? refusals.filter(isInSample) : [])]
}

function listCrashes(cloud: FaultCloud, scenario: Scenario, call: RecordedCall): Point[] {
  const { key } = call
  return (["before", "after"] as const).map((moment) => ({
    kind: "crash point",
    name: `${scenario.name}: killed ${moment} ${key}`,
    key,
    needsRestart: needsRestart(scenario, call),
    isLasting: false,
    arm: () => cloud.recorder.killAt(key, moment),
  }))
}

function listRefused(cloud: FaultCloud, scenario: Scenario, call: RecordedCall, at: number): Point[] {
  const { key } = call
  return listRefusals(call, at).map((refusal) => ({
    kind: "refusal",
    name: `${scenario.name}: ${refusal.name} ${key}`,
    key,
    needsRestart: needsRestart(scenario, call),
    isLasting: refusal.isLasting,
    arm: () => refuseAt(cloud.recorder, cloud.proxy, key, refusal),
  }))
}

/** Whether only a service that was just started makes a call. */
function needsRestart(scenario: Scenario, { caller, key }: RecordedCall): boolean {
  return !caller.startsWith("task") && (SETUP.test(key) || scenario.atStart?.test(key) === true)
}

async function isMadeAgain(cloud: FaultCloud, scenario: Scenario, point: Point): Promise<boolean> {
  return (await recordCalls(cloud, scenario)).some(({ key }) => key === point.key)
}

/** Services that have just been started set up connections too: the recording begins with them. */
async function recordCalls(cloud: FaultCloud, scenario: Scenario): Promise<RecordedCall[]> {
  await scenario.arrange?.()
  await restartServices(cloud)
  // A sweep that comes by chance would be another crash point in every recording.
  const resumeSweeps = cloud.pauseSweeps()
  cloud.recorder.restart()
  await scenario.play(false)
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
