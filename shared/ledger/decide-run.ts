import { and, eq, sql } from "drizzle-orm"
import { runs } from "../../schemas/database/ledger.ts"
import { publishedDays } from "../../schemas/database/revenue.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import type { Totals } from "../day/totals.ts"
import { verdictPath } from "../documents/document-paths.ts"
import { askerFields } from "../messages/asker.ts"
import { recordDayChange } from "./day-changes.ts"
import type { Run } from "./find-runs.ts"
import { readTotals, totalsColumns } from "./totals-columns.ts"

export interface Decision {
  state: "complete" | "incomplete" | "held"
  /** The verdict document, JSON. */
  verdict: string
  /** What the rows of a complete run add up to. */
  totals?: Totals | undefined
}

/**
 * Gives a run its verdict, once per dispatch, and with a complete one publishes the day in the same transaction; the
 * published version never goes back. Returns false if another finalizer has decided.
 */
export async function decideRun(db: Database, run: Run, decision: Decision): Promise<boolean> {
  return db.transaction(async (tx) => {
    const decided = await tx
      .update(runs)
      .set({ state: decision.state, verdict: decision.verdict, decidedAt: sql`NOW(3)`, announcedAt: null })
      .where(and(eq(runs.runId, run.runId), eq(runs.dispatch, run.dispatch), eq(runs.state, "verifying")))
    if (matchedRows(decided) === 0) return false
    if (decision.state === "complete") await publishDay(tx, run, decision.totals)
    return true
  })
}

/** Makes a version the one that readers see, and records that; never goes back to an older one. */
export async function publishDay(tx: Database, run: Run, totals: Totals | undefined): Promise<void> {
  const ofDay = eq(publishedDays.revenueDate, run.revenueDate)
  const [shown] = await tx.select().from(publishedDays).where(ofDay).for("update")
  if (shown && shown.version >= run.version) return
  const day = {
    version: run.version,
    runId: run.runId,
    publishedAt: sql`NOW(3)`,
    state: "shown" as const,
    ...(totals ? totalsColumns(totals) : { rowCount: null, purchases: null, amountCents: null, parts: null }),
    auditedAt: null,
  }
  if (shown) await tx.update(publishedDays).set(day).where(ofDay)
  else await tx.insert(publishedDays).values({ revenueDate: run.revenueDate, ...day })
  await recordDayChange(tx, {
    date: run.revenueDate,
    state: run.repairOf !== null ? "repaired" : shown ? "shown-anew" : "shown",
    version: run.version,
    runId: run.runId,
    previousVersion: shown?.version,
    before: shown && readTotals(shown),
    after: totals,
    path: verdictPath(run.runId),
    ...askerFields(run),
  })
}
