import { stepsFrom } from "./claim-protocol-model.ts"
import { type Bounds, firstState, type Guards, isWanting, type Shard, type State } from "./claim-protocol-state.ts"

export interface Exploration {
  states: number
  steps: number
  /** The first state found that must not be, and the shortest way there. */
  counterexample: { broken: string; steps: string[] } | undefined
}

interface Visited {
  /** Forgotten once every step from it was tried. */
  state: State | undefined
  isRunning: boolean
  isComplete: boolean
  from: number
  step: string
}

/** So that a model that has grown too big says so instead of using up the memory. */
const STATES_MAX = 1_000_000

/** Tries every order of steps, breadth first, and looks at each state once. */
export function explore(bounds: Bounds, guards: Guards): Exploration {
  const seen = new Map<string, number>()
  const visited: Visited[] = []
  const nameParts = createNames()
  /** Steps within a dispatch, as pairs of states: for looking where one can get to without a rerun. */
  const edges: number[] = []
  let steps = 0
  const visit = (state: State, from: number, step: string): number => {
    const key = keyOf(state, nameParts)
    const known = seen.get(key)
    if (known !== undefined) return known
    if (visited.length === STATES_MAX) throw new Error(`there are more than ${STATES_MAX} states within these bounds`)
    seen.set(key, visited.length)
    return (
      visited.push({ state, isRunning: state.run === "running", isComplete: state.run === "complete", from, step }) - 1
    )
  }
  const end = (broken?: string, wayTo = 0, ...last: string[]): Exploration => ({
    states: visited.length,
    steps,
    counterexample: broken === undefined ? undefined : { broken, steps: [...listSteps(visited, wayTo), ...last] },
  })

  visit(firstState(bounds), -1, "")
  for (let at = 0; at < visited.length; at++) {
    const entry = visited[at] as Visited
    const state = entry.state as State
    entry.state = undefined
    for (const { name, state: next } of stepsFrom(state, bounds, guards)) {
      steps++
      const broken = findBroken(next) ?? findBrokenStep(state, next)
      if (broken) return end(broken, at, name)
      const to = visit(next, at, name)
      if (next.dispatch === state.dispatch) edges.push(at, to)
    }
  }
  const stuck = findStuck(visited, edges)
  return stuck < 0 ? end() : end("nothing but a rerun can complete this run any more", stuck)
}

function listSteps(visited: Visited[], to: number): string[] {
  const { from, step } = visited[to] as Visited
  return from < 0 ? [] : [...listSteps(visited, from), step]
}

/** What must hold in every state. */
function findBroken(state: State): string | undefined {
  for (const [index, shard] of state.shards.entries()) {
    const broken = findBrokenShard(shard, state)
    if (broken) return `shard ${index}: ${broken}`
  }
  if (state.reported.some((count, dispatch) => count > (state.offered[dispatch] ?? 0))) {
    return "more shards have reported than were offered"
  }
  if (state.decided.some(({ dispatch, judgedOn }) => dispatch !== judgedOn)) return "a verdict on another dispatch"
  if (new Set(state.decided.map(({ dispatch }) => dispatch)).size < state.decided.length) return "decided twice"
  if (state.decided.some(({ dispatch }) => dispatch < state.dispatch && !state.sent.includes(dispatch))) {
    return "a verdict was never sent"
  }
  if (state.published !== (state.run === "complete")) return "what is published is not what is complete"
  return undefined
}

function findBrokenShard(shard: Shard, { run }: State): string | undefined {
  const { state, rows, owner } = shard
  if (shard.landed.some((count) => count > 1)) return "two commits of one dispatch landed"
  if (run !== "running" && (state === "offered" || state === "claimed")) return `${state}, and its dispatch is closed`
  const isOwn = rows?.owner.task === owner?.task && rows?.owner.attempt === owner?.attempt
  if (state === "done" && !(isOwn && rows?.owner.dispatch === owner?.dispatch && rows?.epoch === shard.epoch)) {
    return "done, and its rows are not those of its newest claim"
  }
  if (run === "complete" && isWanting(shard)) return "the day is complete and this is not"
  return undefined
}

/** What no step may do. */
function findBrokenStep({ shards }: State, after: State): string | undefined {
  for (const [index, { epoch, manifest }] of shards.entries()) {
    const next = after.shards[index]
    if (next && next.manifest < manifest) return `shard ${index}: an older manifest replaced a newer one`
    if (next && next.epoch < epoch) return `shard ${index}: its epoch went back`
  }
  return undefined
}

/** The first running state whose dispatch cannot be completed any more, whatever happens; -1 if there is none. */
function findStuck(visited: Visited[], edges: number[]): number {
  const comingFrom: number[][] = visited.map(() => [])
  for (let at = 0; at < edges.length; at += 2) comingFrom[edges[at + 1] as number]?.push(edges[at] as number)
  const canComplete = visited.map(({ isComplete }) => isComplete)
  const queue = visited.flatMap(({ isComplete }, at) => (isComplete ? [at] : []))
  for (let at = 0; at < queue.length; at++) {
    for (const from of comingFrom[queue[at] as number] ?? []) {
      if (!canComplete[from]) queue.push(from)
      canComplete[from] = true
    }
  }
  return visited.findIndex(({ isRunning }, at) => isRunning && !canComplete[at])
}

/** The same for states that differ in the order of things only. */
function keyOf(state: State, nameOf: (part: object) => number): string {
  const { run, dispatch, announced, published, reported, sent } = state
  const parts = [...state.shards, state.processes, state.work, state.reports, state.judged, state.decided]
  return [run, dispatch, announced, published, reported, sent, ...parts.map(nameOf)].join("|")
}

/** Short names for parts, the same for equal ones: most parts of a state are those of the state before. */
function createNames(): (part: object) => number {
  const names = new Map<string, number>()
  const known = new WeakMap<object, number>()
  const nameOf = (part: object): number => {
    let name = known.get(part)
    if (name !== undefined) return name
    const text = Array.isArray(part) ? part.map(nameOf).toSorted().join() : JSON.stringify(part)
    name = names.get(text) ?? names.size
    names.set(text, name)
    known.set(part, name)
    return name
  }
  return nameOf
}
