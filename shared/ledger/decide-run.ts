import { and, eq, sql } from "drizzle-orm"
import { runs } from "../../schemas/database/ledger.ts"
import { publishedDays } from "../../schemas/database/revenue.ts"
import { type Database, matchedRows } from "../database/open-database.ts"
import { formatParts } from "../day/totals.ts"
import { verdictPath } from "../documents/document-paths.ts"
import { askerFields } from "../messages/asker.ts"
import { type DayTotals, recordDayChange } from "./day-changes.ts"
import type { Run } from "./find-runs.ts"
import { findPublishedDay, toTotals } from "./published-days.ts"

export interface Decision {
  state: "complete" | "incomplete" | "held"
  /** The verdict document, JSON. */
  verdict: string
  /** What the rows of the run add up to; undefined where they could not be read. */
  totals?: DayTotals | undefined
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
    else await recordUnpublished(tx, run, decision.state, decision.totals)
    return true
  })
}

/** Records that a version needs a person before readers can see it; not where they see a newer one. */
async function recordUnpublished(
  tx: Database,
  run: Run,
  state: "incomplete" | "held",
  totals: DayTotals | undefined,
): Promise<void> {
  const shown = await findPublishedDay(tx, run.revenueDate)
  if (shown && shown.version > run.version) return
  await recordDayChange(tx, {
    date: run.revenueDate,
    state,
    version: run.version,
    runId: run.runId,
    previousVersion: shown?.version,
    before: shown && toTotals(shown),
    // What an incomplete version adds up to says nothing of the day.
    after: state === "held" ? totals : undefined,
    path: verdictPath(run.runId),
    ...askerFields(run),
  })
}

/** Makes a version the one that readers see, and records that; never goes back to an older one. */
export async function publishDay(tx: Database, run: Run, totals: DayTotals | undefined): Promise<void> {
  const ofDay = eq(publishedDays.revenueDate, run.revenueDate)
  const [shown] = await tx.select().from(publishedDays).where(ofDay).for("update")
  if (shown && shown.version >= run.version) return
  const day = {
    version: run.version,
    runId: run.runId,
    publishedAt: sql`NOW(3)`,
    state: "shown" as const,
    rowCount: totals?.users ?? null,
    purchases: totals?.purchases ?? null,
    amountCents: totals?.amountCents ?? null,
    parts: totals ? formatParts(totals.parts) : null,
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
    before: shown && toTotals(shown),
    after: totals,
    path: verdictPath(run.runId),
    ...askerFields(run),
  })
}
