import { eq, sql } from "drizzle-orm"
import { controls, runs } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import { findPause } from "../pauses/pause.ts"
import type { Run } from "./find-runs.ts"
import { listQueue, pickNextRuns } from "./run-queue.ts"
import { moveRun, runTransitions } from "./run-transitions.ts"

export interface Admission {
  run: Run
  isAdmitted: boolean
}

/**
 * Gives a waiting run its slot, if one of `runsMax` is free for it and nothing is paused: it goes to planning, or with its
 * next dispatch to running. Returns the run as it is then, and whether this call admitted it: it still waits if it has to,
 * and a run that another call has admitted is as it was. One run is admitted at a time. A run that has to wait is not forgotten: the finalizer notifies the planner of waiting
 * runs whenever a slot becomes free, and every sweep does so again.
 */
export async function admitRun(db: Database, runId: string, runsMax: number): Promise<Admission | undefined> {
  return inTransaction(db, async (tx) => {
    await tx.select().from(controls).where(eq(controls.name, "runs")).for("update")
    const isHalted = (await findPause(tx)) !== undefined
    const [run] = await tx.select().from(runs).where(eq(runs.runId, runId)).for("update")
    if (!run) return undefined
    const next = isHalted || run.state !== "waiting" ? [] : pickNextRuns(await listQueue(tx), runsMax)
    if (!next.some((chosen) => chosen.runId === runId)) return { run, isAdmitted: false }
    const transition = run.dispatch === 0 ? "plan" : "resume"
    const isAdmitted = await moveRun(tx, run, transition, run.dispatch === 0 ? { begunAt: sql`NOW(3)` } : {})
    return { run: isAdmitted ? { ...run, state: runTransitions[transition].to } : run, isAdmitted }
  })
}
