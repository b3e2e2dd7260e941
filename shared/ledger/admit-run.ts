import { and, eq, inArray, ne, sql } from "drizzle-orm"
import { controls, runs } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import { inTransaction } from "../database/transaction.ts"
import { isOfBackfill, type Run } from "./find-runs.ts"
import { findPause } from "./pause.ts"

type Other = Pick<Run, "state" | "cause">

/** Any other run goes before those of backfills; of several slots these always have one, so that they come to an end. */
function hasRoom(run: Run, others: Other[], runsMax: number): boolean {
  const atWork = others.filter(({ state }) => state !== "waiting")
  const waiting = others.filter(({ state }) => state === "waiting")
  const isBackfillAtWork = atWork.some(isOfBackfill)
  if (isOfBackfill(run)) {
    const isFirst = waiting.every(isOfBackfill)
    return atWork.length < runsMax && (isFirst || (!isBackfillAtWork && runsMax > 1))
  }
  const isSlotKept = runsMax > 1 && !isBackfillAtWork && waiting.some(isOfBackfill)
  return atWork.length < (isSlotKept ? runsMax - 1 : runsMax)
}

/**
 * Lets a waiting run go to work, if fewer than `runsMax` are at it and nothing is paused: to planning, or with its next dispatch to running. Returns
 * the run as it is then: it still waits if it has to, and one that waited no more is as it was. One run is admitted at a
 * time, whoever asks.
 */
export async function admitRun(db: Database, runId: string, runsMax: number): Promise<Run | undefined> {
  return inTransaction(db, async (tx) => {
    await tx.select().from(controls).where(eq(controls.name, "runs")).for("update")
    const isHalted = (await findPause(tx)) !== undefined
    const [run] = await tx.select().from(runs).where(eq(runs.runId, runId)).for("update")
    if (run?.state !== "waiting") return run
    const others = await tx
      .select({ state: runs.state, cause: runs.cause })
      .from(runs)
      .where(and(inArray(runs.state, ["waiting", "planning", "running"]), ne(runs.runId, runId)))
    if (isHalted || !hasRoom(run, others, runsMax)) return run
    const state = run.dispatch === 0 ? ("planning" as const) : ("running" as const)
    const admitted = await tx
      .update(runs)
      .set({ state, ...(run.dispatch === 0 ? { begunAt: sql`NOW(3)` } : {}) })
      .where(and(eq(runs.runId, runId), eq(runs.state, "waiting")))
    return matchedRows(admitted) === 0 ? run : { ...run, state }
  })
}
