import { and, asc, desc, eq, gte, inArray, lt, lte, notInArray } from "drizzle-orm"
import { audits } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import type { Database } from "../../database/open-database.ts"

export type Audit = typeof audits.$inferSelect

/** Dates that readers see, the oldest first. */
export async function listPublishedDates(db: Database, from: string, to: string): Promise<string[]> {
  const rows = await db
    .select({ date: publishedDays.revenueDate })
    .from(publishedDays)
    .where(and(gte(publishedDays.revenueDate, from), lte(publishedDays.revenueDate, to)))
    .orderBy(asc(publishedDays.revenueDate))
  return rows.map(({ date }) => date)
}

/** The newest dates before one that readers see, the newest first. */
export async function listNewestPublishedDates(db: Database, before: string, limit: number): Promise<string[]> {
  const rows = await db
    .select({ date: publishedDays.revenueDate })
    .from(publishedDays)
    .where(lt(publishedDays.revenueDate, before))
    .orderBy(desc(publishedDays.revenueDate))
    .limit(limit)
  return rows.map(({ date }) => date)
}

export async function listAuditsOfRequest(db: Database, requestId: string): Promise<Audit[]> {
  return db.select().from(audits).where(eq(audits.requestId, requestId)).orderBy(asc(audits.revenueDate))
}

/** The newest audit of a date that has ended, of the version that readers see or of another. */
export async function findNewestAudit(db: Database, date: string): Promise<Audit | undefined> {
  const [audit] = await db
    .select()
    .from(audits)
    .where(and(eq(audits.revenueDate, date), inArray(audits.state, ["same", "drifted"])))
    .orderBy(desc(audits.auditedAt))
    .limit(1)
  return audit
}

/** The audit to work on: the one that was asked for first and has not ended, but for those that are passed over. */
export async function findNextAudit(db: Database, passedOver: string[]): Promise<Audit | undefined> {
  const [audit] = await db
    .select()
    .from(audits)
    .where(
      and(
        inArray(audits.state, ["auditing", "waiting"]),
        passedOver.length > 0 ? notInArray(audits.auditId, passedOver) : undefined,
      ),
    )
    .orderBy(asc(audits.requestedAt), asc(audits.auditId))
    .limit(1)
  return audit
}
