import { and, asc, eq, sql } from "drizzle-orm"
import { audits, runs } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import type { Database } from "../../database/open-database.ts"
import { type Audit, findNewestAudit } from "../audits/find-audits.ts"
import { inStates, isUnfinished, unfinishedStates } from "../runs/run-transitions.ts"

/**
 * Finds the audit whose day is to be started anew next. None while a repair is under way, or was asked for after
 * `askedSince` and has not become a run yet; no day that has an unfinished run. A day of which readers see another version
 * by now, or of which a later audit has ended, needs no repair any more, and is dropped.
 */
export async function findDueRepair(db: Database, askedSince: Date): Promise<Audit | undefined> {
  const due = await db.select().from(audits).where(eq(audits.repair, "due")).orderBy(asc(audits.auditedAt))
  if (due.length === 0 || (await isRepairUnderWay(db, askedSince))) return undefined
  for (const audit of due) {
    const [[day], newest, [unfinished]] = await Promise.all([
      db.select().from(publishedDays).where(eq(publishedDays.revenueDate, audit.revenueDate)),
      findNewestAudit(db, audit.revenueDate),
      db.select({ runId: runs.runId }).from(runs).where(eq(runs.unfinishedDate, audit.revenueDate)),
    ])
    if (unfinished) continue
    if (day?.version === audit.version && newest?.auditId === audit.auditId) return audit
    await db
      .update(audits)
      .set({ repair: "none" })
      .where(and(eq(audits.auditId, audit.auditId), eq(audits.repair, "due")))
  }
  return undefined
}

async function isRepairUnderWay(db: Database, askedSince: Date): Promise<boolean> {
  const asked = await db
    .select({ auditId: audits.auditId, askedAt: audits.repairAskedAt, runState: runs.state })
    .from(audits)
    .leftJoin(runs, eq(runs.repairOf, audits.auditId))
    .where(eq(audits.repair, "asked"))
  const unfinished = await db.$count(runs, and(inStates(unfinishedStates), sql`${runs.repairOf} IS NOT NULL`))
  return (
    unfinished > 0 ||
    asked.some(({ askedAt, runState }) =>
      runState === null ? askedAt !== null && askedAt > askedSince : isUnfinished(runState),
    )
  )
}

export async function markRepairAsked(db: Database, auditId: string): Promise<void> {
  await db
    .update(audits)
    .set({ repair: "asked", repairAskedAt: sql`NOW(3)` })
    .where(and(eq(audits.auditId, auditId), eq(audits.repair, "due")))
}
