import { asc, eq, isNull, sql } from "drizzle-orm"
import { dayChanges } from "../../schemas/database/ledger.ts"
import type { Database } from "../database/open-database.ts"
import { type PartFields, parseParts } from "../day/totals.ts"

/** What a day adds up to. */
export interface DayTotals {
  /** Undefined where they were not counted. */
  users: bigint | undefined
  purchases: bigint
  /** Minor units; may exceed 64 bits. Undefined where there are currencies. */
  amountCents?: string
  /** By currency, with measures, where the shop declares these. */
  parts: PartFields[]
}

/** A change of a day that others should know of: see schemas/messages/day_change.proto. */
export interface DayChangeRecord {
  date: string
  state: "shown" | "shown-anew" | "drifted" | "repaired" | "late" | "arrived" | "erased" | "held" | "incomplete"
  /** The one that readers see, 0 where they see none; of "held" and "incomplete" the one that they do not. */
  version: number
  runId: string
  previousVersion?: number | undefined
  before?: DayTotals | undefined
  after?: DayTotals | undefined
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
  const message = JSON.stringify(change, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value))
  await tx.insert(dayChanges).values({ revenueDate: change.date, message, changedAt: sql`NOW(3)` })
}

/** Changes that are still to be sent, in their order. */
export async function listUnsentChanges(db: Database, limit: number): Promise<StoredDayChange[]> {
  const rows = await db
    .select()
    .from(dayChanges)
    .where(isNull(dayChanges.sentAt))
    .orderBy(asc(dayChanges.changeId))
    .limit(limit)
  return rows.map(({ changeId, changedAt, message }) => {
    const { before, after, ...change } = JSON.parse(message) as StoredRecord
    return { ...change, changeId, changedAt, before: parseTotals(before), after: parseTotals(after) }
  })
}

export async function markChangeSent(db: Database, changeId: bigint): Promise<void> {
  await db.update(dayChanges).set({ sentAt: sql`NOW(3)` }).where(eq(dayChanges.changeId, changeId))
}

interface StoredTotals {
  users?: string
  purchases: string
  amountCents?: string
  /** Missing in what an older version of Daybook recorded. */
  parts?: unknown[]
}

type StoredRecord = Omit<DayChangeRecord, "before" | "after"> & { before?: StoredTotals; after?: StoredTotals }

function parseTotals(totals: StoredTotals | undefined): DayTotals | undefined {
  if (!totals) return undefined
  const { users, purchases, amountCents, parts = [] } = totals
  return {
    users: users === undefined ? undefined : BigInt(users),
    purchases: BigInt(purchases),
    ...(amountCents === undefined ? {} : { amountCents }),
    parts: parseParts(JSON.stringify(parts)),
  }
}
