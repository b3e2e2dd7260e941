import { and, asc, eq, gt, isNull, sql } from "drizzle-orm"
import { runs } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { isNotShown, selectVersions, type Version } from "./find-runs.ts"
import { decidedStates, inStates } from "./run-transitions.ts"

/**
 * Finished runs whose rows are not needed any more: not shown, and not among the newest versions of their date, of which
 * `versionsKept` are kept so that they can be compared. In the order of their ids, from behind one on.
 */
export async function listPrunableRuns(
  db: Database,
  versionsKept: number,
  limit: number,
  after: string | undefined,
): Promise<Version[]> {
  const { newest, query } = selectVersions(db)
  return query
    .where(
      and(
        inStates(decidedStates),
        isNull(runs.prunedAt),
        sql`${runs.version} <= ${newest.version} - ${versionsKept}`,
        isNotShown,
        after === undefined ? undefined : gt(runs.runId, after),
      ),
    )
    .orderBy(asc(runs.runId))
    .limit(limit)
}

export async function markPruned(db: Database, runId: string): Promise<void> {
  await db.update(runs).set({ prunedAt: sql`NOW(3)` }).where(eq(runs.runId, runId))
}
