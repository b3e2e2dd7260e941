import { eq, sql } from "drizzle-orm"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import { askerFields } from "../../asker.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import type { Totals } from "../../day/totals.ts"
import { verdictPath } from "../../documents/document-paths.ts"
import { recordDayChange } from "../days/day-changes.ts"
import { findPublishedDay } from "../days/published-days.ts"
import { readTotals, totalsColumns } from "../shards/totals-columns.ts"
import type { Run } from "./find-runs.ts"
import { decided, moveRun } from "./run-transitions.ts"

export interface Decision {
  state: "complete" | "incomplete" | "held"
  /** The verdict document, JSON. */
  verdict: string
  /** What the rows of the run add up to; undefined where they could not be read. */
  totals?: Totals | undefined
}

const transitionTo = { complete: "complete", incomplete: "fault", held: "hold" } as const

/**
 * Gives a run its verdict, once per dispatch, and with a complete one publishes the day in the same transaction; the
 * published version never goes back. Returns false if another finalizer has decided.
 */
export async function decideRun(db: Database, run: Run, decision: Decision): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    if (!(await moveRun(tx, run, transitionTo[decision.state], decided(decision.verdict)))) return false
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
  totals: Totals | undefined,
): Promise<void> {
  const shown = await findPublishedDay(tx, run.revenueDate)
  if (shown && shown.version > run.version) return
  await recordDayChange(tx, {
    date: run.revenueDate,
    state,
    version: run.version,
    runId: run.runId,
    previousVersion: shown?.version,
    before: shown && readTotals(shown),
    // What an incomplete version adds up to says nothing of the day.
    after: state === "held" ? totals : undefined,
    path: verdictPath(run.runId),
    ...askerFields(run),
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
