import { and, eq, isNull, sql } from "drizzle-orm"
import { runs } from "../../schemas/database/ledger.ts"
import type { Database } from "../database/open-database.ts"
import type { Run } from "./find-runs.ts"

/** Records that the verdict of this dispatch is in the bucket and on its topic. */
export async function markAnnounced(db: Database, run: Pick<Run, "runId" | "dispatch">): Promise<void> {
  await db
    .update(runs)
    .set({ announcedAt: sql`NOW(3)` })
    .where(and(eq(runs.runId, run.runId), eq(runs.dispatch, run.dispatch), isNull(runs.announcedAt)))
}
