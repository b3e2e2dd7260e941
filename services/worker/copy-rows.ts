import { setTimeout as wait } from "node:timers/promises"
import { sql } from "drizzle-orm"
import type { Pool } from "mysql2"
import type { AccessPath } from "../../schemas/database/ledger.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { SourceError } from "../../shared/database/read-source.ts"
import { insertRows, type RevenueVersion } from "../../shared/day/revenue-rows.ts"
import { inScan, inSlice, type RevenueCells, type ShopDay, selectRevenueCells } from "../../shared/day/shop-day.ts"
import { USERS_PER_BATCH } from "../../shared/day/user-batches.ts"
import type { Range } from "../../shared/range.ts"
import { RowStream } from "./row-stream.ts"
import { UserBatchStream } from "./user-batch-stream.ts"

// About 50 kB of SQL: far below the 16 MB that a server takes by default (max_allowed_packet), and enough that the
// round trip does not matter.
const ROWS_PER_INSERT = 1_000

// The database drops a connection that is silent in a transaction for 20 s (IDLE_SECONDS_MAX in main.ts).
const KEEP_ALIVE_MS = 5_000

// Ten minutes without a row: the source is gone without a word, or a shard is far too big for it.
const KEEP_ALIVES_MAX = 120

export interface CopyOptions {
  rowsPerInsert?: number
  keepAliveMs?: number
}

/**
 * Inserts the rows of a range as the shop on another server has them now: they travel through this task, as fast as
 * the slower of the two takes them. Part of a shard's transaction. What fails at the source fails the transaction.
 */
export async function copyRows(
  tx: Database,
  shopPool: Pool,
  run: RevenueVersion & ShopDay,
  range: Range,
  { rowsPerInsert = ROWS_PER_INSERT, keepAliveMs = KEEP_ALIVE_MS }: CopyOptions = {},
): Promise<void> {
  const stream = openStream[run.accessPath](shopPool, run, range, rowsPerInsert)
  try {
    for (;;) {
      const rows = await keepAlive(tx, stream.next(), keepAliveMs)
      if (rows.length === 0) return
      await insertRows(tx, run, rows)
    }
  } finally {
    stream.close()
  }
}

type OpenStream = (
  shopPool: Pool,
  day: ShopDay,
  range: Range,
  rowsAtOnce: number,
) => RowStream<RevenueCells> | UserBatchStream

const openStream: Record<AccessPath, OpenStream> = {
  "day-slice": (shopPool, day, range, rowsAtOnce) =>
    new RowStream(shopPool, selectRevenueCells(day, inSlice(day, range)), rowsAtOnce),
  "day-scan": (shopPool, day, range, rowsAtOnce) =>
    new RowStream(shopPool, selectRevenueCells(day, inScan(day, range)), rowsAtOnce),
  "user-batches": (shopPool, day, range, rowsAtOnce) =>
    new UserBatchStream(shopPool, day, range, Math.min(rowsAtOnce, USERS_PER_BATCH)),
}

/**
 * Waits, and lets the database know from time to time that its transaction is not forgotten. A task that is frozen does
 * not, so that its locks still go with its connection.
 */
async function keepAlive<T>(tx: Database, waiting: Promise<T>, everyMs: number): Promise<T> {
  // Where the database fails first, nobody asks any more how the source does.
  waiting.catch(() => {})
  for (let asked = 0; asked < KEEP_ALIVES_MAX; asked++) {
    const patience = new AbortController()
    try {
      const silence = wait(everyMs, undefined, { signal: patience.signal })
      const first = await Promise.race([waiting.then((value) => ({ value })), silence])
      if (first) return first.value
    } finally {
      patience.abort()
    }
    await tx.execute(sql`SELECT 1`)
  }
  const silent = new Error(`nothing came for ${(KEEP_ALIVES_MAX * everyMs) / 60_000} minutes`)
  throw new SourceError(Object.assign(silent, { code: "ETIMEDOUT" }))
}
