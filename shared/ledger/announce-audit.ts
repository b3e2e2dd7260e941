import { and, eq, inArray, isNull, sql } from "drizzle-orm"
import { audits } from "../../schemas/database/ledger.ts"
import type { Database } from "../database/open-database.ts"
import type { Audit } from "./find-audits.ts"

/** Audits that have ended and whose document is not in the bucket yet. */
export async function listUnannouncedAudits(db: Database, limit: number): Promise<Audit[]> {
  return db
    .select()
    .from(audits)
    .where(and(isNull(audits.announcedAt), inArray(audits.state, ["same", "drifted"])))
    .limit(limit)
}

export async function markAuditAnnounced(db: Database, auditId: string): Promise<void> {
  await db.update(audits).set({ announcedAt: sql`NOW(3)` }).where(eq(audits.auditId, auditId))
}
