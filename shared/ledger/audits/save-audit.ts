import { and, eq } from "drizzle-orm"
import { audits } from "../../../schemas/database/ledger.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import type { Audit } from "./find-audits.ts"

/** Keeps how far an audit is. Returns false if somebody else has got further: leave it to them. */
export async function saveAudit(db: Database, audit: Audit, nextShard: number, document: string): Promise<boolean> {
  return matchedRows(await db.update(audits).set({ nextShard, document }).where(atShard(audit))) > 0
}

export const atShard = ({ auditId, nextShard }: Audit) =>
  and(eq(audits.auditId, auditId), eq(audits.state, "auditing"), eq(audits.nextShard, nextShard))
