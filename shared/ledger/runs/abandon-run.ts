import { eq } from "drizzle-orm"
import { dispatches, runs } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"

/**
 * Takes back a run that was begun and cannot be planned; there may be none. Returns false, having changed nothing, if
 * shards of it have been offered: tasks may be at work.
 */
export async function abandonRun(db: Database, runId: string): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const [run] = await tx.select().from(runs).where(eq(runs.runId, runId)).for("update")
    if (!run) return true
    if (run.state !== "waiting" && run.state !== "planning") return false
    const offered = await tx.select().from(dispatches).where(eq(dispatches.runId, runId))
    if (offered.length > 0) return false
    await tx.delete(runs).where(eq(runs.runId, runId))
    return true
  })
}
