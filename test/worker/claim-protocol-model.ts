/*
 * The claim protocol as a state machine, small enough to try every order of its steps. What is one step here is one
 * statement, transaction or conditional write there. Whatever can stand still for any time, or never go on, is simply
 * a step that is not taken: a frozen task, a late message, a slow finalizer. A message once sent can be taken again
 * and again. What the real ledger does with such histories is tried in claim-protocol.test.ts.
 */

import {
  type Bounds,
  type Guards,
  isWanting,
  type Process,
  type Report,
  type Shard,
  type State,
  startTasks,
  type Work,
} from "./claim-protocol-state.ts"

export interface Step {
  name: string
  state: State
}

const isSameTask = (one: Process, other: Process) => one.dispatch === other.dispatch && one.task === other.task
const isSame = (one: Process, other: Process) => isSameTask(one, other) && one.attempt === other.attempt

/** Every step that somebody can take next, and where it leads. */
export function* stepsFrom(state: State, bounds: Bounds, guards: Guards): Generator<Step> {
  for (const process of state.processes) if (process.alive) yield* stepsOfTask(state, process, bounds, guards)
  for (const work of state.work) yield* goOn(state, work, guards)
  for (const report of state.reports) yield* takeReport(state, report, guards)
  yield* stepsOfFinalizers(state, bounds, guards)
  yield* rerun(state, bounds, guards)
}

function* stepsOfTask(state: State, process: Process & { alive: boolean }, bounds: Bounds, guards: Guards) {
  const { dispatch, task, attempt } = process
  const by = { dispatch, task, attempt }
  const name = `task ${dispatch}.${task} attempt ${attempt}`
  const isNewest = !state.processes.some((other) => isSameTask(other, by) && other.attempt > attempt)
  const isBusy = state.work.some((work) => isSame(work.by, by))
  const own = state.shards.filter((shard) => shard.dispatch === dispatch)
  // The end of a task that has nothing in hand and will find nothing changes nothing.
  const isOfUse = isBusy || own.some((shard) => shard.state !== "missing" && !shard.reported)
  const next = { ...by, attempt: attempt + 1, alive: true }
  if (isNewest && isOfUse && next.attempt < bounds.attempts) {
    const others = state.processes.filter((other) => other !== process)
    const left = state.work.filter((work) => !isSame(work.by, by))
    // Its next attempt begins when it has died, or when Cloud Run only thinks so.
    const processes = [...others, { ...process, alive: false }, next]
    yield { name: `${name} dies`, state: { ...state, processes, work: left } }
    yield { name: `${name} freezes`, state: { ...state, processes: [...state.processes, next] } }
  }
  // One thing at a time.
  if (isBusy) return
  for (const [index, shard] of state.shards.entries()) {
    if (shard.dispatch !== dispatch) continue
    const isLeft = shard.owner !== undefined && isSameTask(shard.owner, by) && shard.owner.attempt < attempt
    const canTakeUp = isLeft && guards.attemptTakesUp
    if (shard.state === "offered" || (shard.state === "claimed" && canTakeUp) || !guards.claimExcludes) {
      const epoch = shard.epoch + (guards.claimRaisesEpoch ? 1 : 0)
      const claimed = changeShard(state, index, { state: "claimed", epoch, owner: by })
      yield { name: `${name} claims ${index}`, state: addWork(claimed, { by, shard: index, epoch, step: "claimed" }) }
    } else if (shard.state === "done" && !shard.reported && canTakeUp) {
      const work: Work = { by, shard: index, epoch: shard.epoch, step: "committed" }
      yield { name: `${name} finds ${index} done`, state: addWork(state, work) }
    }
  }
}

/** A task goes on with what it has in hand, however long ago it got it. */
function* goOn(state: State, work: Work, guards: Guards): Generator<Step> {
  const { by, epoch, step } = work
  const shard = state.shards[work.shard] as Shard
  const name = `task ${by.dispatch}.${by.task} attempt ${by.attempt}`
  const withStep = (from: State, to: Work["step"] | undefined): State => {
    const rest = from.work.filter((other) => other !== work)
    return to === undefined ? { ...from, work: rest } : addWork({ ...from, work: rest }, { ...work, step: to })
  }
  if (step === "claimed") {
    const isMine = shard.epoch === epoch && (shard.state === "claimed" || shard.state === "done")
    if (!isMine && guards.commitIsFenced) {
      yield { name: `${name} is refused ${work.shard}`, state: withStep(state, undefined) }
      return
    }
    const isDone = isMine && shard.state === "done" && guards.commitIsOnce
    const landed = shard.landed.map((count, dispatch) => count + (dispatch === shard.dispatch ? 1 : 0))
    const committed = isDone
      ? state
      : changeShard(state, work.shard, { state: "done", rows: { epoch, owner: by }, landed })
    yield { name: `${name} commits ${work.shard}`, state: withStep(committed, "committed") }
    // The answer is lost, and it will commit again. Once is enough to see what comes of it.
    const mayRepeat = shard.landed.every((count) => count < 2)
    if (!isDone && mayRepeat) yield { name: `${name} commits ${work.shard} unheard`, state: committed }
  } else if (step === "committed") {
    const isNewer = epoch >= shard.manifest || !guards.manifestIsNewer
    const written = isNewer ? changeShard(state, work.shard, { manifest: epoch }) : state
    yield {
      name: `${name} writes manifest ${work.shard}`,
      state: withStep(written, isNewer ? "manifested" : undefined),
    }
  } else {
    const reported = withStep(state, undefined)
    const isSent = state.reports.some((sent) => sent.shard === work.shard && sent.epoch === epoch)
    const reports = [...state.reports, { dispatch: by.dispatch, shard: work.shard, epoch }]
    yield { name: `${name} reports ${work.shard}`, state: isSent ? reported : { ...reported, reports } }
  }
}

function* takeReport(state: State, report: Report, guards: Guards): Generator<Step> {
  const { dispatch, shard: index, epoch } = report
  const shard = state.shards[index] as Shard
  const isCurrent = shard.dispatch === dispatch && shard.epoch === epoch && shard.state === "done"
  if (!isCurrent && guards.reportIsCurrent) return
  if (shard.reported && guards.reportIsOnce) return
  // More than that need not be tried.
  if ((state.reported[dispatch] ?? 0) > (state.offered[dispatch] ?? 0)) return
  const reported = state.reported.map((count, at) => count + (at === dispatch ? 1 : 0))
  yield { name: `a report of ${index} is taken`, state: { ...changeShard(state, index, { reported: true }), reported } }
}

function* stepsOfFinalizers(state: State, { finalizers }: Bounds, guards: Guards): Generator<Step> {
  // At any time: because all have reported, or because a sweep believes that nothing more will come.
  if (state.run === "running") {
    const shards = state.shards.map((shard): Shard => {
      const isOpen = shard.state === "offered" || shard.state === "claimed"
      return isOpen && guards.closingFences ? { ...shard, state: "missing", epoch: shard.epoch + 1 } : shard
    })
    yield { name: `dispatch ${state.dispatch} is closed`, state: { ...state, run: "verifying", shards } }
  }
  if (state.run === "verifying" && state.judged.length < finalizers) {
    const complete = state.shards.every((shard) => !isWanting(shard))
    const judged = [...state.judged, { dispatch: state.dispatch, complete }]
    yield { name: `a finalizer judges ${complete ? "complete" : "incomplete"}`, state: { ...state, judged } }
  }
  for (const judgment of state.judged) {
    const isDue = state.run === "verifying" && state.dispatch === judgment.dispatch
    const judged = state.judged.filter((other) => other !== judgment)
    if (!isDue && guards.verdictIsCompared) {
      yield { name: "a finalizer is too late", state: { ...state, judged } }
      continue
    }
    const run = judgment.complete ? ("complete" as const) : ("incomplete" as const)
    const decided = [...state.decided, { dispatch: state.dispatch, judgedOn: judgment.dispatch }]
    const published = state.published || (judgment.complete && guards.publishedAtOnce)
    yield { name: "a finalizer decides", state: { ...state, judged, run, decided, published, announced: false } }
  }
  if (state.run !== "complete" && state.run !== "incomplete") return
  if (state.run === "complete" && !state.published)
    yield { name: "the day is published", state: { ...state, published: true } }
  if (!state.sent.includes(state.dispatch)) {
    yield { name: "the verdict is sent", state: { ...state, sent: [...state.sent, state.dispatch] } }
  } else if (!state.announced) yield { name: "the verdict is announced", state: { ...state, announced: true } }
}

/** Of what is wanting, or of everything, as somebody may ask. */
function* rerun(state: State, { dispatches, tasks }: Bounds, guards: Guards): Generator<Step> {
  const dispatch = state.dispatch + 1
  if (state.run !== "incomplete" || dispatch === dispatches) return
  if (!state.announced && guards.rerunAwaitsVerdict) return
  for (const [what, isOffered] of [
    ["all", () => true],
    ["what is wanting", isWanting],
  ] as const) {
    const offer = (shard: Shard): Shard => {
      const landed = [...shard.landed, 0]
      if (!isOffered(shard)) return { ...shard, landed }
      return { ...shard, landed, dispatch, state: "offered", epoch: shard.epoch + 1, owner: undefined, reported: false }
    }
    const offered = [...state.offered, state.shards.filter(isOffered).length]
    if (offered[dispatch] === 0) continue
    const processes = [...state.processes, ...startTasks(dispatch, tasks)]
    const opened = { run: "running" as const, dispatch, announced: false, offered, reported: [...state.reported, 0] }
    yield { name: `a rerun of ${what}`, state: { ...state, ...opened, processes, shards: state.shards.map(offer) } }
  }
}

function changeShard(state: State, index: number, change: Partial<Shard>): State {
  return { ...state, shards: state.shards.map((shard, at) => (at === index ? { ...shard, ...change } : shard)) }
}

function addWork(state: State, work: Work): State {
  return { ...state, work: [...state.work, work] }
}
