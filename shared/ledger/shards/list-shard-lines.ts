import { asc, count, eq, sql } from "drizzle-orm"
import { type ShardState, shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

export interface ShardLine {
  index: number
  state: ShardState
  users: bigint | null
  purchases: bigint | null
  amountCents: string | null
  tookMs: number | undefined
  execution: string | null
  taskIndex: number | null
  attempt: number | null
  error: string | null
}

/** A stretch of shards, of which the strip has one cell. */
export interface StripCell {
  from: number
  shards: number
  states: Partial<Record<ShardState, number>>
}

/** The states of a run's shards, `size` shards to a cell. */
export async function listShardStrip(db: Database, runId: string, size: number): Promise<StripCell[]> {
  const cell = sql`${shards.shardIndex} DIV ${sql.raw(String(size))}`.mapWith(Number)
  const rows = await db
    .select({ cell: cell.as("cell"), state: shards.state, shards: count() })
    .from(shards)
    .where(eq(shards.runId, runId))
    .groupBy(sql`cell`, shards.state)
    .orderBy(sql`cell`)
  const cells = new Map<number, StripCell>()
  for (const row of rows) {
    const at = row.cell
    const known = cells.get(at) ?? { from: at * size, shards: 0, states: {} }
    cells.set(at, { ...known, shards: known.shards + row.shards, states: { ...known.states, [row.state]: row.shards } })
  }
  return [...cells.values()]
}

/** Those that are not done first: there is something to be seen. */
export async function listShardLines(
  db: Database,
  runId: string,
  { limit, offset }: { limit: number; offset: number },
): Promise<ShardLine[]> {
  const rows = await db
    .select({
      index: shards.shardIndex,
      state: shards.state,
      users: shards.rowCount,
      purchases: shards.purchases,
      amountCents: shards.amountCents,
      claimedAt: shards.claimedAt,
      committedAt: shards.committedAt,
      execution: shards.execution,
      taskIndex: shards.taskIndex,
      attempt: shards.attempt,
      error: shards.error,
    })
    .from(shards)
    .where(eq(shards.runId, runId))
    .orderBy(sql`${shards.state} = 'done'`, asc(shards.shardIndex))
    .limit(limit)
    .offset(offset)
  return rows.map(({ claimedAt, committedAt, ...row }) => ({
    ...row,
    tookMs: claimedAt && committedAt ? committedAt.getTime() - claimedAt.getTime() : undefined,
  }))
}
