import { and, eq, inArray, type SQL, sql } from "drizzle-orm"
import { type RunState, runs } from "../../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"

/** One way in which a run changes its state. */
interface RunTransition {
  from: readonly RunState[]
  to: RunState
  /** Which service changes it. */
  by: string
  /** Under which condition. */
  when: string
}

/**
 * Every change of a run's state: this table is the truth about them. `moveRun` is the only statement that makes one, and the
 * README shows the same table (test/shared/ledger/run-transitions.test.ts). A run begins as waiting. One that is abandoned
 * before anything is offered has no state: its row is deleted.
 */
export const runTransitions = {
  plan: { from: ["waiting"], to: "planning", by: "planner", when: "it has a slot" },
  resume: { from: ["waiting"], to: "running", by: "planner", when: "it has a slot, and its dispatch is a rerun" },
  open: { from: ["planning"], to: "running", by: "planner", when: "its last shard is offered" },
  close: {
    from: ["waiting", "planning", "running"],
    to: "verifying",
    by: "finalizer, planner",
    when: "all shards have reported, its executions are over, or it cannot be planned",
  },
  complete: { from: ["verifying"], to: "complete", by: "finalizer", when: "the proof holds, and no check objects" },
  hold: { from: ["verifying"], to: "held", by: "finalizer", when: "the proof holds, and a check objects" },
  fault: { from: ["verifying"], to: "incomplete", by: "finalizer", when: "the proof finds a fault" },
  release: { from: ["held"], to: "complete", by: "finalizer", when: "a person releases it" },
  rerun: { from: ["incomplete"], to: "waiting", by: "planner", when: "a rerun is requested after its verdict" },
  cancel: {
    from: ["waiting", "planning", "running"],
    to: "cancelled",
    by: "finalizer",
    when: "a person cancels it",
  },
} as const satisfies Record<string, RunTransition>

export type RunTransitionName = keyof typeof runTransitions

const transitions: RunTransition[] = Object.values(runTransitions)

/** States in which a run has a slot of RUNS_MAX, or waits for one. */
export const queuedStates: readonly RunState[] = runTransitions.close.from

/** States in which a run can be cancelled: it is not yet being verified. */
export const cancellableStates: readonly RunState[] = runTransitions.cancel.from

/** States without a verdict: the date of such a run takes no other run. */
export const unfinishedStates: readonly RunState[] = [...queuedStates, "verifying"]

/** States with a verdict. */
export const decidedStates: readonly RunState[] = transitions
  .filter(({ from, to }) => from.every((state) => unfinishedStates.includes(state)) && !unfinishedStates.includes(to))
  .map(({ to }) => to)

export function isUnfinished(state: RunState): boolean {
  return unfinishedStates.includes(state)
}

/** That a run's state is one of some. */
export const inStates = (states: readonly RunState[]): SQL => inArray(runs.state, [...states])

/** What a verdict sets beside the state. Until it is announced, the sweep announces it. */
export const decided = (verdict: string) => ({ verdict, decidedAt: sql`NOW(3)`, announcedAt: null })

type RunColumns = Partial<{ [column in keyof typeof runs.$inferInsert]: (typeof runs.$inferInsert)[column] | SQL }>

/**
 * Changes the state of a run by one transition of the table, and sets further columns with it. Returns false, having changed
 * nothing, if the run is in another state, has a newer dispatch, or does not fulfil `condition`.
 */
export async function moveRun(
  db: Database,
  { runId, dispatch }: { runId: string; dispatch: number },
  name: RunTransitionName,
  set: Omit<RunColumns, "state"> = {},
  condition?: SQL,
): Promise<boolean> {
  const { from, to } = runTransitions[name]
  const moved = await db
    .update(runs)
    .set({ ...set, state: to })
    .where(and(eq(runs.runId, runId), eq(runs.dispatch, dispatch), inStates(from), condition))
  return matchedRows(moved) > 0
}
