import { and, eq, sql } from "drizzle-orm"
import { runs } from "../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import type { Totals } from "../day/totals.ts"
import { publishDay } from "./decide-run.ts"
import type { Run } from "./find-runs.ts"

/** Shows a day that was held, in the transaction that makes its run complete. Returns false if it is not held any more. */
export async function releaseRun(db: Database, run: Run, verdict: string, totals: Totals): Promise<boolean> {
  return db.transaction(async (tx) => {
    const released = await tx
      .update(runs)
      .set({ state: "complete", verdict, decidedAt: sql`NOW(3)`, announcedAt: null })
      .where(and(eq(runs.runId, run.runId), eq(runs.dispatch, run.dispatch), eq(runs.state, "held")))
    if (matchedRows(released) === 0) return false
    await publishDay(tx, run, totals)
    return true
  })
}
