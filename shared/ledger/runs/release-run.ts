import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import type { Totals } from "../../day/totals.ts"
import { publishDay } from "./decide-run.ts"
import type { Run } from "./find-runs.ts"
import { decided, moveRun } from "./run-transitions.ts"

/** Publishes a day that was held, in the transaction that makes its run complete. Returns false if it is not held any more. */
export async function releaseRun(db: Database, run: Run, verdict: string, totals: Totals): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    if (!(await moveRun(tx, run, "release", decided(verdict)))) return false
    await publishDay(tx, run, totals)
    return true
  })
}
