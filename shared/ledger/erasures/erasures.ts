import { and, desc, eq, isNull, ne, or, sql, sum } from "drizzle-orm"
import { audits, erasedRows, erasures, runs } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import type { UserId } from "../../../schemas/database/user-type.ts"
import type { Asker } from "../../asker.ts"
import { type Database, matchedRows } from "../../database/open-database.ts"
import { inTransaction } from "../../database/transaction.ts"
import type { UserSums } from "../../day/compare-totals.ts"
import { readRowTotals, readUser } from "../../day/read-totals.ts"
import { inRange, type RevenueVersion } from "../../day/revenue-rows.ts"
import { subtractUsers } from "../../day/totals.ts"
import { ofUser } from "../../range.ts"
import { recordDayChange } from "../days/day-changes.ts"
import type { PublishedDay } from "../days/published-days.ts"
import { isUnfinished } from "../runs/run-transitions.ts"
import { readTotals, totalsColumns } from "../shards/totals-columns.ts"

/** Records that somebody is to be forgotten, and not who. */
export async function beginErasure(db: Database, erasureId: string, asker: Asker): Promise<void> {
  await db.insert(erasures).values({ erasureId, ...asker, requestedAt: sql`NOW(3)` })
}

/** Records that everything is erased. */
export async function endErasure(db: Database, erasureId: string): Promise<void> {
  await db.update(erasures).set({ endedAt: sql`NOW(3)` }).where(eq(erasures.erasureId, erasureId))
}

/** How many rows of a version were erased. */
export async function countErasedRows(
  db: Database,
  { revenueDate, version }: Pick<RevenueVersion, "revenueDate" | "version">,
): Promise<bigint> {
  const [row] = await db
    .select({ count: sum(erasedRows.rowCount) })
    .from(erasedRows)
    .where(and(eq(erasedRows.revenueDate, revenueDate), eq(erasedRows.version, version)))
  return BigInt(row?.count ?? 0)
}

/**
 * Deletes a user's rows of a version, with a record of how many there were, in one transaction: what readers see of the day
 * adds up to so much less, and whoever keeps a copy is told. Returns how many; 0 where there is none, or none any more.
 */
export async function eraseRows(db: Database, erasureId: string, of: RevenueVersion, userId: UserId): Promise<number> {
  return inTransaction(db, async (tx) => {
    const ofDay = eq(publishedDays.revenueDate, of.revenueDate)
    const [day] = await tx.select().from(publishedDays).where(ofDay).for("update")
    const users = await readUser(readRowTotals(tx, of), userId)
    const rowCount = matchedRows(await tx.delete(of.shop.revenue.table).where(inRange(of, ofUser(userId))))
    if (rowCount === 0) return 0
    if (rowCount !== users.length) {
      throw new Error(`rows of ${of.revenueDate}, version ${of.version}, were deleted meanwhile: ask again`)
    }
    await tx.insert(erasedRows).values({ erasureId, revenueDate: of.revenueDate, version: of.version, rowCount })
    if (day?.version === of.version) await subtractFromDay(tx, day, users)
    return rowCount
  })
}

async function subtractFromDay(tx: Database, day: PublishedDay, users: UserSums[]) {
  const before = readTotals(day)
  // Published by an older version of Daybook, which did not add it up.
  if (!before) return
  const after = subtractUsers(before, users)
  await tx.update(publishedDays).set(totalsColumns(after)).where(eq(publishedDays.revenueDate, day.revenueDate))
  await recordDayChange(tx, {
    date: day.revenueDate,
    state: "erased",
    version: day.version,
    runId: day.runId,
    before,
    after,
  })
}

/** Why a user cannot be erased from a date yet. */
export interface ReasonToWait {
  reason: string
  /** Rows and documents of the user may still be written. */
  isAtWork: boolean
}

const atWork = (reason: string): ReasonToWait => ({ reason, isAtWork: true })
const unsettled = (reason: string): ReasonToWait => ({ reason, isAtWork: false })

/**
 * Says why a user cannot be erased from a date yet: something is at work that may have read the user's purchases before the
 * shop erased them, or that compares rows with their manifests once more. Undefined where nothing is.
 */
export async function findReasonToWait(db: Database, revenueDate: string): Promise<ReasonToWait | undefined> {
  const { runId, state, announcedAt, version } = runs
  const ofDate = await db
    .select({ runId, state, announcedAt })
    .from(runs)
    .where(and(eq(runs.revenueDate, revenueDate), ne(state, "waiting")))
    .orderBy(desc(version))
  const [newest] = ofDate
  for (const run of ofDate) {
    if (isUnfinished(run.state)) return atWork(`run ${run.runId} is ${run.state}: ask again after its verdict`)
    if (!run.announcedAt) return atWork(`the verdict of run ${run.runId} is about to be written: ask again in a minute`)
  }
  if (newest?.state === "incomplete") {
    return unsettled(`run ${newest.runId} is incomplete: rerun it, or start the date anew, and ask again`)
  }
  if (newest?.state === "held") {
    return unsettled(`run ${newest.runId} is held: release it, or start the date anew, and ask again`)
  }
  const isAtWork = or(
    eq(audits.state, "auditing"),
    and(sql`${audits.state} IN ('same', 'drifted')`, isNull(audits.announcedAt)),
  )
  const [audit] = await db
    .select({ auditId: audits.auditId })
    .from(audits)
    .where(and(eq(audits.revenueDate, revenueDate), isAtWork))
    .limit(1)
  return audit && atWork(`audit ${audit.auditId} is at work: ask again in some minutes`)
}
