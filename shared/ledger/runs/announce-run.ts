import { and, eq, isNull, sql } from "drizzle-orm"
import { runs } from "../../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import type { Run } from "./find-runs.ts"

/** Records that the verdict of this dispatch is in the bucket and on its topic; false if that was known. */
export async function markAnnounced(db: Database, run: Pick<Run, "runId" | "dispatch">): Promise<boolean> {
  const marked = await db
    .update(runs)
    .set({ announcedAt: sql`NOW(3)` })
    .where(and(eq(runs.runId, run.runId), eq(runs.dispatch, run.dispatch), isNull(runs.announcedAt)))
  return matchedRows(marked) > 0
}
