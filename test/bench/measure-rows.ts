import { type AccessPath, accessPaths } from "../../schemas/database/ledger.ts"
import { sumGuests, sumSource } from "../../services/finalizer/proof/sum-source.ts"
import type { ServerKind } from "../../services/local/database/find-server.ts"
import { createShop } from "../../services/local/shop/create-shop.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { computeShard } from "../../services/worker/compute-shards.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { sumRows } from "../../shared/day/revenue-rows.ts"
import { createRun } from "../../shared/ledger/runs/create-run.ts"
import { claimShard } from "../../shared/ledger/shards/claim-shards.ts"
import { newRun, openFirstDispatch } from "../fixtures/test-run.ts"
import { difference, readStatus } from "./count-calls.ts"
import { date, type Room } from "./fixture.ts"
import type { BenchOptions } from "./options.ts"
import { type SpareDatabase, withSpareDatabase } from "./spare-database.ts"

/** Rows read per purchase of the day. */
interface RowsRead {
  /** Of the shop's purchases, by the server's own count for that table; NaN on a server of somebody's. */
  purchases: number
  /** Of our Revenue rows. */
  revenue: number
  /** Of all tables: Handler_read_*. */
  handler: number
  ms: number
}

export type RowsStep = "plan" | "compute" | "verify source" | "verify rows"

export interface RowsFigures {
  way: AccessPath
  days: number
  purchases: number
  shards: number
  rows: number
  steps: Record<RowsStep, RowsRead>
}

// What matters is how much is read, not how fast. A day of fewer is read to plan it.
const PURCHASES = 400_000
const SHARDS = 20

/**
 * Counts the rows that the product's own functions read, for a day with more and more days before it, in a shop with
 * the index of the day and in one that has only an index of each user's purchases.
 */
export async function measureRows(room: Room, { history }: BenchOptions): Promise<RowsFigures[]> {
  await room.query("SET GLOBAL userstat = 1").catch(() => undefined)
  const figures: RowsFigures[] = []
  for (const days of history) {
    await withSpareDatabase(room, async (spare) => {
      await createShop(spare.url, { users: PURCHASES, purchases: PURCHASES, days, date })
      figures.push(await measureHistory(room, spare, days))
      await spare.query("ALTER TABLE purchases DROP KEY purchases_day_slice, DROP COLUMN purchased_on")
      await spare.query("CREATE INDEX purchases_by_user ON purchases (user_id, purchased_at)")
      await spare.query("ANALYZE TABLE purchases")
      for (const table of ["runs", "dispatches", "shards", "revenue_versions"]) {
        await spare.query(`TRUNCATE TABLE ${table}`)
      }
      figures.push(await measureHistory(room, spare, days))
    })
  }
  return figures.toSorted((a, b) => accessPaths.indexOf(a.way) - accessPaths.indexOf(b.way))
}

async function measureHistory(room: Room, spare: SpareDatabase, days: number): Promise<RowsFigures> {
  const day = newRun({ revenueDate: date })
  const begun = await createRun(spare.db, { ...day, ...(await chooseRead(spare.db, day, { scanRowsMax: 0 })) })
  const run = { ...begun, shop: day.shop }
  const step = <T>(work: () => Promise<T>) => countRows(room, spare, work)

  const [ranges, plan] = await step(() =>
    Array.fromAsync(planRanges(spare.db, run, { shardPurchases: PURCHASES / SHARDS })),
  )
  await openFirstDispatch(spare.db, run, ranges)
  const task = { execution: "bench", taskIndex: 0, attempt: 0 }
  const claims = await Promise.all(
    ranges.map((_, shardIndex) => claimShard(spare.db, { runId: run.runId, shardIndex, dispatch: 0 }, task)),
  )
  const [, compute] = await step(async () => {
    for (const claim of claims) if (claim) await computeShard(spare.db, run, claim)
  })
  const [, source] = await step(() => Promise.all([sumSource(spare.db, run, ranges), sumGuests(spare.db, run)]))
  const [totals, rows] = await step(() => sumRows(spare.db, run, ranges))
  return {
    way: run.accessPath,
    days,
    purchases: PURCHASES,
    shards: ranges.length,
    rows: totals.reduce((sum, total) => sum + Number(total.totals.rows), 0),
    steps: { plan, compute, "verify source": source, "verify rows": rows },
  }
}

const handlers = ["first", "key", "last", "next", "prev", "rnd", "rnd_next"].map((kind) => `Handler_read_${kind}`)

async function countRows<T>(room: Room, spare: SpareDatabase, work: () => Promise<T>): Promise<[T, RowsRead]> {
  const database = new URL(spare.url).pathname.slice(1)
  const read = async () => ({
    status: await readStatus(room, handlers),
    purchases: await readTable(room, database, "purchases"),
    revenue: await readTable(room, database, "revenue_versions"),
  })
  const before = await read()
  const startedAt = performance.now()
  const result = await work()
  const ms = performance.now() - startedAt
  const after = await read()
  // Looking at the counters reads rows, too: as many as looking twice in a row says.
  const idle = await read()
  const total = difference(before.status, after.status)
  const looking = difference(after.status, idle.status)
  const own = (name: string) => Math.max(0, (total[name] ?? 0) - (looking[name] ?? 0))
  return [
    result,
    {
      purchases: (after.purchases - before.purchases) / PURCHASES,
      revenue: (after.revenue - before.revenue) / PURCHASES,
      handler: handlers.reduce((sum, name) => sum + own(name), 0) / PURCHASES,
      ms,
    },
  ]
}

/** NaN where the server does not count: one of somebody's, without these counters. */
async function readTable(room: Room, database: string, table: string): Promise<number> {
  const kind = room.cloud.databaseServer?.kind
  if (!kind) return Number.NaN
  const [row] = await room.query<{ read: string | number }>(tableReads[kind](database, table))
  return Number(row?.read ?? 0)
}

/** What the server has read of a table so far. */
export const tableReads: Record<ServerKind, (database: string, table: string) => string> = {
  /** https://mariadb.com/kb/en/user-statistics/ */
  mariadb: (database, table) =>
    `SELECT ROWS_READ AS \`read\` FROM information_schema.TABLE_STATISTICS
     WHERE TABLE_SCHEMA = '${database}' AND TABLE_NAME = '${table}'`,
  /** https://dev.mysql.com/doc/refman/8.4/en/performance-schema-table-wait-summary-tables.html */
  mysql: (database, table) =>
    `SELECT COUNT_FETCH AS \`read\` FROM performance_schema.table_io_waits_summary_by_table
     WHERE OBJECT_SCHEMA = '${database}' AND OBJECT_NAME = '${table}'`,
}
