import { and, asc, desc, eq, gte, inArray, isNull, lt, lte, notInArray, sql } from "drizzle-orm"
import { audits, runs } from "../../schemas/database/ledger.ts"
import { publishedDays } from "../../schemas/database/revenue.ts"
import { allRows, type Database, matchedRows } from "../database/open-database.ts"
import { auditPath } from "../documents/document-paths.ts"
import { type DayTotals, recordDayChange } from "./day-changes.ts"
import { toTotals } from "./published-days.ts"
import { isUnfinished, unfinishedStates } from "./runs.ts"

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

/**
 * Begins an audit with the version that readers see. Returns it as it is then, also if somebody else began it; undefined
 * if readers see nothing of the date, which ends it.
 */
export async function beginAudit(db: Database, { auditId, revenueDate }: Audit): Promise<Audit | undefined> {
  return db.transaction(async (tx) => {
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

/** Keeps how far an audit is. Returns false if somebody else has got further: leave it to them. */
export async function saveAudit(db: Database, audit: Audit, nextShard: number, document: string): Promise<boolean> {
  return matchedRows(await db.update(audits).set({ nextShard, document }).where(atShard(audit))) > 0
}

/** How an audit ends. */
export interface AuditEnd {
  isDrifted: boolean
  /** Whether the day is to be started anew by itself, should it have drifted. */
  isRepaired: boolean
  /** What the shop's purchases of the day add up to. */
  source: DayTotals
  /** Composes the audit document, JSON. */
  compose: (state: "same" | "drifted", auditedAt: Date) => string
}

/**
 * Ends an audit: what it found becomes the state of the day, and a change of that state is recorded in the same
 * transaction. If readers see another version by now it says nothing of the day. Returns false if somebody else has
 * ended it, or got further.
 */
export async function endAudit(db: Database, audit: Audit, end: AuditEnd): Promise<boolean> {
  return db.transaction(async (tx) => {
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
      const shown = toTotals(day)
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
  const unfinished = await db.$count(
    runs,
    and(inArray(runs.state, unfinishedStates), sql`${runs.repairOf} IS NOT NULL`),
  )
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

const atShard = ({ auditId, nextShard }: Audit) =>
  and(eq(audits.auditId, auditId), eq(audits.state, "auditing"), eq(audits.nextShard, nextShard))

/** The database's clock, to the millisecond. */
async function readClock(tx: Database): Promise<Date> {
  const [row] = allRows<{ ms: string }>(await tx.execute(sql`SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS ms`))
  return new Date(Number(row?.ms))
}
