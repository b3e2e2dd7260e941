import { and, asc, eq, gt, inArray, isNull, sql } from "drizzle-orm"
import { audits } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import type { Audit } from "./find-audits.ts"

/** Audits that have ended and whose document is not in the bucket yet, in the order of their ids, from behind one on. */
export async function listUnannouncedAudits(db: Database, limit: number, after: string | undefined): Promise<Audit[]> {
  return db
    .select()
    .from(audits)
    .where(
      and(
        isNull(audits.announcedAt),
        inArray(audits.state, ["same", "drifted"]),
        after === undefined ? undefined : gt(audits.auditId, after),
      ),
    )
    .orderBy(asc(audits.auditId))
    .limit(limit)
}

export async function markAuditAnnounced(db: Database, auditId: string): Promise<void> {
  await db.update(audits).set({ announcedAt: sql`NOW(3)` }).where(eq(audits.auditId, auditId))
}
