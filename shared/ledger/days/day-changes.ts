import { and, asc, eq, gt, isNull, sql } from "drizzle-orm"
import { dayChanges } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import type { Totals } from "../../day/totals.ts"
import { dayFields, formatDigits, parseDay } from "../../day/totals-fields.ts"

/** A change of a day that others should know of: see schemas/messages/day_change.proto. */
export interface DayChangeRecord {
  date: string
  state: "shown" | "shown-anew" | "drifted" | "repaired" | "late" | "arrived" | "erased" | "held" | "incomplete"
  /** The one that readers see, 0 where they see none; of "held" and "incomplete" the one that they do not. */
  version: number
  runId: string
  previousVersion?: number | undefined
  before?: Totals | undefined
  after?: Totals | undefined
  auditId?: string | undefined
  /** In the bucket: the verdict or the audit behind it; undefined of a day that is late, or whose rows were erased. */
  path?: string | undefined
  askedBy?: string
  via?: string
  note?: string
}

/** A recorded change with what the ledger knows of it. */
export interface StoredDayChange extends DayChangeRecord {
  changeId: bigint
  changedAt: Date
}

/** Records a change, to be sent to its topic. Part of the transaction that makes it so. */
export async function recordDayChange(tx: Database, change: DayChangeRecord): Promise<void> {
  const { before, after, ...rest } = change
  const sides = { ...(before ? { before: dayFields(before) } : {}), ...(after ? { after: dayFields(after) } : {}) }
  const message = formatDigits({ ...rest, ...sides })
  await tx.insert(dayChanges).values({ revenueDate: change.date, message, changedAt: sql`NOW(3)` })
}

/** Changes that are still to be sent, in their order, from behind one on. */
export async function listUnsentChanges(db: Database, limit: number, after = 0n): Promise<StoredDayChange[]> {
  const rows = await db
    .select()
    .from(dayChanges)
    .where(and(isNull(dayChanges.sentAt), gt(dayChanges.changeId, after)))
    .orderBy(asc(dayChanges.changeId))
    .limit(limit)
  return rows.map(({ changeId, changedAt, message }) => {
    const { before, after, ...change } = JSON.parse(message) as StoredRecord
    return { ...change, changeId, changedAt, before: before && parseDay(before), after: after && parseDay(after) }
  })
}

export async function markChangeSent(db: Database, changeId: bigint): Promise<void> {
  await db.update(dayChanges).set({ sentAt: sql`NOW(3)` }).where(eq(dayChanges.changeId, changeId))
}

type StoredSide = Parameters<typeof parseDay>[0]
type StoredRecord = Omit<DayChangeRecord, "before" | "after"> & { before?: StoredSide; after?: StoredSide }
