import { and, desc, eq, inArray, sql } from "drizzle-orm"
import { dispatches, type RunState, runs, shards } from "../../../schemas/database/ledger.ts"
import { publishedDays } from "../../../schemas/database/revenue.ts"
import type { Database } from "../../database/open-database.ts"

/** A run as a line of a list. */
export interface RunSummary {
  runId: string
  date: string
  version: number
  state: RunState
  /** Readers of the view `revenue` see this run. */
  published: boolean
  /** Undefined until the run is planned. */
  shardCount: number | undefined
  /** How many shards are computed, and what they add up to. */
  done: number
  rows: bigint
  purchases: bigint
  /** Minor units; undefined where there are currencies. */
  amountCents: bigint | undefined
  requestedAt: Date
  decidedAt: Date | undefined
  /** From the request, of a rerun from the newest one, to the verdict or now; by the database's clock. */
  tookMs: number
  ageMs: number
}

/** The runs asked for last, newest first. */
export async function listNewestRuns(db: Database, limit: number): Promise<RunSummary[]> {
  const askedAt = sql`IF(${runs.dispatch} = 0, ${runs.requestedAt}, COALESCE(${dispatches.openedAt}, ${runs.requestedAt}))`
  // Without the verdict, which may be long: the newest are found by sorting.
  const rows = await db
    .select({
      runId: runs.runId,
      date: runs.revenueDate,
      version: runs.version,
      state: runs.state,
      publishedVersion: publishedDays.version,
      shardCount: runs.shardCount,
      requestedAt: runs.requestedAt,
      decidedAt: runs.decidedAt,
      tookUs: sql<string>`TIMESTAMPDIFF(MICROSECOND, ${askedAt}, COALESCE(${runs.decidedAt}, UTC_TIMESTAMP(3)))`,
      ageUs: sql<string>`TIMESTAMPDIFF(MICROSECOND, ${runs.requestedAt}, UTC_TIMESTAMP(3))`,
    })
    .from(runs)
    .leftJoin(dispatches, and(eq(dispatches.runId, runs.runId), eq(dispatches.dispatch, runs.dispatch)))
    .leftJoin(publishedDays, eq(publishedDays.revenueDate, runs.revenueDate))
    .orderBy(desc(runs.requestedAt), desc(runs.runId))
    .limit(limit)
  const totals = await sumShards(
    db,
    rows.map((row) => row.runId),
  )
  return rows.map(({ publishedVersion, tookUs, ageUs, ...row }) => ({
    ...row,
    ...(totals.get(row.runId) ?? nothing),
    published: publishedVersion === row.version,
    shardCount: row.shardCount ?? undefined,
    decidedAt: row.decidedAt ?? undefined,
    tookMs: Number(tookUs) / 1_000,
    ageMs: Number(ageUs) / 1_000,
  }))
}

type Computed = Pick<RunSummary, "done" | "rows" | "purchases" | "amountCents">

const nothing: Computed = { done: 0, rows: 0n, purchases: 0n, amountCents: 0n }

async function sumShards(db: Database, runIds: string[]): Promise<Map<string, Computed>> {
  if (runIds.length === 0) return new Map()
  const sums = await db
    .select({
      runId: shards.runId,
      done: sql<string>`COUNT(*)`,
      rows: sql<string>`SUM(${shards.rowCount})`,
      purchases: sql<string>`SUM(${shards.purchases})`,
      amountCents: sql<string | null>`SUM(${shards.amountCents})`,
    })
    .from(shards)
    .where(and(inArray(shards.runId, runIds), eq(shards.state, "done")))
    .groupBy(shards.runId)
  return new Map(
    sums.map(({ runId, done, rows, purchases, amountCents }) => [
      runId,
      {
        done: Number(done),
        rows: BigInt(rows),
        purchases: BigInt(purchases),
        amountCents: amountCents === null ? undefined : BigInt(amountCents),
      },
    ]),
  )
}
