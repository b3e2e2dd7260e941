import { expect, test } from "vitest"
import { explore } from "./claim-protocol-explore.ts"
import type { Bounds, Guards } from "./claim-protocol-state.ts"

const guards: Guards = {
  claimExcludes: true,
  claimRaisesEpoch: true,
  attemptTakesUp: true,
  commitIsFenced: true,
  commitIsOnce: true,
  manifestIsNewer: true,
  reportIsCurrent: true,
  reportIsOnce: true,
  closingFences: true,
  verdictIsCompared: true,
  publishedAtOnce: true,
  rerunAwaitsVerdict: true,
}

/** Each with how many states it has at least: one that explores less has lost some of its steps. */
const explored: [string, Bounds, number][] = [
  ["attempts that die and freeze", { shards: 2, tasks: 2, attempts: 2, dispatches: 1, finalizers: 1 }, 150_000],
  ["attempts and a rerun", { shards: 1, tasks: 1, attempts: 2, dispatches: 2, finalizers: 1 }, 50_000],
  ["tasks, reruns and finalizers", { shards: 1, tasks: 2, attempts: 1, dispatches: 2, finalizers: 2 }, 5_000],
]

test.each(explored)("in every order of steps of %s, the protocol holds and can go on", (_what, bounds, statesMin) => {
  const { states, steps, counterexample } = explore(bounds, guards)
  console.log(`${states} states, ${steps} steps: ${JSON.stringify(bounds)}`)
  expect(counterexample).toBeUndefined()
  expect(states).toBeGreaterThan(statesMin)
})

/** Each guard with what goes wrong without it. */
const needed: [keyof Guards, RegExp][] = [
  ["claimExcludes", /claimed, and its dispatch is closed/],
  ["claimRaisesEpoch", /its rows are not those of its newest claim/],
  ["attemptTakesUp", /nothing but a rerun can complete/],
  ["commitIsFenced", /its rows are not those of its newest claim/],
  ["commitIsOnce", /two commits of one dispatch/],
  ["manifestIsNewer", /an older manifest replaced a newer one/],
  ["reportIsCurrent", /more shards have reported than were offered/],
  ["reportIsOnce", /more shards have reported than were offered/],
  ["closingFences", /and its dispatch is closed/],
  ["verdictIsCompared", /decided twice/],
  ["publishedAtOnce", /what is published is not what is complete/],
  ["rerunAwaitsVerdict", /a verdict was never sent/],
]

test.each(needed)("without the guard %s some order of steps breaks it", (guard, broken) => {
  const bounds = { shards: 1, tasks: 1, attempts: 2, dispatches: 2, finalizers: 2 }
  const { counterexample } = explore(bounds, { ...guards, [guard]: false })
  expect(counterexample?.broken).toMatch(broken)
  expect(counterexample?.steps).not.toEqual([])
})
