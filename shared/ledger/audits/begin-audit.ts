import { and, eq, sql } from "drizzle-orm"
import { audits } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import type { Database } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import type { Audit } from "./find-audits.ts"

/**
 * Begins an audit with the version that readers see. Returns it as it is then, also if somebody else began it; undefined
 * if readers see nothing of the date, which ends it.
 */
export async function beginAudit(db: Database, { auditId, revenueDate }: Audit): Promise<Audit | undefined> {
  return inTransaction(db, async (tx) => {
    const [day] = await tx.select().from(publishedDays).where(eq(publishedDays.revenueDate, revenueDate)).for("update")
    const waiting = and(eq(audits.auditId, auditId), eq(audits.state, "waiting"))
    const begun = day
      ? { state: "auditing" as const, version: day.version, runId: day.runId, startedAt: sql`NOW(3)` }
      : { state: "outdated" as const, announcedAt: sql`NOW(3)` }
    await tx.update(audits).set(begun).where(waiting)
    const [audit] = await tx.select().from(audits).where(eq(audits.auditId, auditId))
    return audit?.state === "auditing" ? audit : undefined
  })
}
