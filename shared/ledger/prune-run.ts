import { and, eq, inArray, isNull, max, sql } from "drizzle-orm"
import { runs } from "../../schemas/database/ledger.ts"
import { publishedDays } from "../../schemas/database/revenue.ts"
import type { Database } from "../database/open-database.ts"
import type { Run } from "./find-runs.ts"

/**
 * Finished runs whose rows are not needed any more: not shown, and not among the newest versions of their date, of which
 * `versionsKept` are kept so that they can be compared.
 */
export async function listPrunableRuns(db: Database, versionsKept: number): Promise<Run[]> {
  const newest = db
    .select({ revenueDate: runs.revenueDate, version: max(runs.version).as("newest_version") })
    .from(runs)
    .groupBy(runs.revenueDate)
    .as("newest")
  const rows = await db
    .select({ run: runs })
    .from(runs)
    .innerJoin(newest, eq(newest.revenueDate, runs.revenueDate))
    .leftJoin(publishedDays, eq(publishedDays.revenueDate, runs.revenueDate))
    .where(
      and(
        inArray(runs.state, ["complete", "incomplete"]),
        isNull(runs.prunedAt),
        sql`${runs.version} <= ${newest.version} - ${versionsKept}`,
        sql`${runs.version} <> COALESCE(${publishedDays.version}, 0)`,
      ),
    )
  return rows.map((row) => row.run)
}

export async function markPruned(db: Database, runId: string): Promise<void> {
  await db.update(runs).set({ prunedAt: sql`NOW(3)` }).where(eq(runs.runId, runId))
}
