import { and, eq, isNull, sql } from "drizzle-orm"
import { runs } from "../../schemas/database/ledger.ts"
import { publishedDays } from "../../schemas/database/revenue.ts"
import type { Database } from "../database/open-database.ts"
import { isNotShown, newestVersions, type Run } from "./find-runs.ts"
import { decidedStates, inStates } from "./runs/run-transitions.ts"

/**
 * Finished runs whose rows are not needed any more: not shown, and not among the newest versions of their date, of which
 * `versionsKept` are kept so that they can be compared.
 */
export async function listPrunableRuns(db: Database, versionsKept: number): Promise<Run[]> {
  const newest = newestVersions(db)
  const rows = await db
    .select({ run: runs })
    .from(runs)
    .innerJoin(newest, eq(newest.revenueDate, runs.revenueDate))
    .leftJoin(publishedDays, eq(publishedDays.revenueDate, runs.revenueDate))
    .where(
      and(
        inStates(decidedStates),
        isNull(runs.prunedAt),
        sql`${runs.version} <= ${newest.version} - ${versionsKept}`,
        isNotShown,
      ),
    )
  return rows.map((row) => row.run)
}

export async function markPruned(db: Database, runId: string): Promise<void> {
  await db.update(runs).set({ prunedAt: sql`NOW(3)` }).where(eq(runs.runId, runId))
}
