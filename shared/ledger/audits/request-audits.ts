import { sql } from "drizzle-orm"
import { audits } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

/** Asks for an audit of each of these dates. The same request again changes nothing. */
export async function requestAudits(
  db: Database,
  requestId: string,
  dates: string[],
  requestedAt: Date,
): Promise<void> {
  if (dates.length === 0) return
  await db
    .insert(audits)
    .values(
      dates.map((revenueDate) => ({
        auditId: `${revenueDate}-${requestId}`,
        revenueDate,
        requestId,
        state: "waiting" as const,
        requestedAt,
      })),
    )
    .onDuplicateKeyUpdate({ set: { auditId: sql`audit_id` } })
}
