import { and, eq, inArray, sql } from "drizzle-orm"
import { audits } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import { allRows, type Database, matchedRows } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import type { Totals } from "../../day/totals.ts"
import { auditPath } from "../../documents/document-paths.ts"
import { recordDayChange } from "../days/day-changes.ts"
import { readTotals } from "../shards/totals-columns.ts"
import type { Audit } from "./find-audits.ts"
import { atShard } from "./save-audit.ts"

/** How an audit ends. */
export interface AuditEnd {
  isDrifted: boolean
  /** Whether the day is to be started anew by itself, should it have drifted. */
  isRepaired: boolean
  /** What the shop's purchases of the day add up to. */
  source: Totals
  /** Composes the audit document, JSON. */
  compose: (state: "same" | "drifted", auditedAt: Date) => string
}

/**
 * Ends an audit: what it found becomes the state of the day, and a change of that state is recorded in the same
 * transaction. If readers see another version by now it says nothing of the day. Returns false if somebody else has
 * ended it, or got further.
 */
export async function endAudit(db: Database, audit: Audit, end: AuditEnd): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const ofDay = eq(publishedDays.revenueDate, audit.revenueDate)
    const [day] = await tx.select().from(publishedDays).where(ofDay).for("update")
    if (day?.version !== audit.version) {
      return (
        matchedRows(
          await tx.update(audits).set({ state: "outdated", announcedAt: sql`NOW(3)` }).where(atShard(audit)),
        ) > 0
      )
    }
    const auditedAt = await readClock(tx)
    const state = end.isDrifted ? ("drifted" as const) : ("same" as const)
    const ended = await tx
      .update(audits)
      .set({
        state,
        auditedAt,
        document: end.compose(state, auditedAt),
        repair: end.isDrifted && end.isRepaired ? "due" : "none",
      })
      .where(atShard(audit))
    if (matchedRows(ended) === 0) return false
    const dayState = end.isDrifted ? ("drifted" as const) : ("shown" as const)
    await tx.update(publishedDays).set({ auditedAt, state: dayState }).where(ofDay)
    if (day.state !== dayState) {
      const shown = readTotals(day)
      await recordDayChange(tx, {
        date: audit.revenueDate,
        state: dayState,
        version: day.version,
        runId: day.runId,
        before: end.isDrifted ? shown : undefined,
        after: end.isDrifted ? end.source : shown,
        auditId: audit.auditId,
        path: auditPath(audit.revenueDate, auditedAt, audit.requestId),
      })
    }
    return true
  })
}

/** Ends an audit that can never be carried out. */
export async function failAudit(db: Database, audit: Audit, reason: string): Promise<void> {
  await db
    .update(audits)
    .set({ state: "failed", document: JSON.stringify({ reason }), announcedAt: sql`NOW(3)` })
    .where(and(eq(audits.auditId, audit.auditId), inArray(audits.state, ["waiting", "auditing"])))
}

/** The database's clock, to the millisecond. */
async function readClock(tx: Database): Promise<Date> {
  const [row] = allRows<{ ms: string }>(await tx.execute(sql`SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS ms`))
  return new Date(Number(row?.ms))
}
