import { setTimeout as wait } from "node:timers/promises"
import { eq, sql } from "drizzle-orm"
import { dispatches, type RunState, runs, type ShardState, shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"
import { type RetryOptions, retryTransient } from "../../retry.ts"
import { decidedStates } from "./run-transitions.ts"

/** How far a run is, by the ledger. */
export interface RunProgress {
  runId: string
  date: string
  version: number
  state: RunState
  /** The newest dispatch; the three measures below are of it alone. */
  dispatch: number
  /** Since it was asked for, until its verdict or now; by the database's clock. */
  elapsedMs: number
  /** Purchases of the shards that it has computed. */
  dispatchPurchases: bigint
  /** Since its first claim, until its last commit or now; by the database's clock. */
  workingMs: number
  /** Undefined until the run is planned. */
  shardCount: number | undefined
  shards: Record<ShardState, number>
  /** Purchases of all computed shards, whichever dispatch offered them. */
  purchases: bigint
  /** Tasks that hold a claim. */
  tasks: number
  /** The verdict is in the bucket and on its topic. */
  announced: boolean
}

// Often enough that progress looks live, and one query of one run's shards, by primary key, costs next to nothing.
const POLL_MS = 250

export interface FollowOptions extends RetryOptions {
  /** Ends only with the verdict on this dispatch or a later one; 0 by default. */
  dispatch?: number
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
}

/**
 * Yields a run's progress again and again until its verdict is decided and announced. Ends without a verdict if there
 * is no such run (any more): the planner takes back a run that it cannot plan. Throws when the signal aborts.
 */
export async function* followRun(db: Database, runId: string, options: FollowOptions): AsyncGenerator<RunProgress> {
  const sleep = options.sleep ?? sleepFor
  for (;;) {
    options.signal?.throwIfAborted()
    const progress = await retryTransient(`read run ${runId}`, () => readRunProgress(db, runId), options)
    if (!progress) return
    yield progress
    if (isFinished(progress) && progress.dispatch >= (options.dispatch ?? 0)) return
    await sleep(POLL_MS, options.signal)
  }
}

export function isFinished(progress: RunProgress): boolean {
  return decidedStates.includes(progress.state) && progress.announced
}

/** Purchases per second of the newest dispatch; 0 until something is computed. */
export function purchasesPerSecond(progress: RunProgress): number {
  if (progress.workingMs <= 0) return 0
  return (Number(progress.dispatchPurchases) * 1_000) / progress.workingMs
}

export async function readRunProgress(db: Database, runId: string): Promise<RunProgress | undefined> {
  const [row] = await selectProgress(db, runId)
  if (!row) return undefined
  const { offered, claimed, done, failed, missing, elapsedUs, workingUs, dispatchPurchases, purchases, ...rest } = row
  return {
    ...rest,
    elapsedMs: Number(elapsedUs ?? 0) / 1_000,
    workingMs: Math.max(0, Number(workingUs ?? 0) / 1_000),
    dispatchPurchases: BigInt(dispatchPurchases ?? 0),
    purchases: BigInt(purchases ?? 0),
    shardCount: row.shardCount ?? undefined,
    shards: {
      offered: Number(offered ?? 0),
      claimed: Number(claimed ?? 0),
      done: Number(done ?? 0),
      failed: Number(failed ?? 0),
      missing: Number(missing ?? 0),
    },
    tasks: Number(row.tasks),
    announced: row.announced !== null,
  }
}

// The driver returns sums as strings, so that no digit is lost; a sum over no row is null.
const inState = (state: ShardState) => sql<string | null>`SUM(${shards.state} = ${state})`

function selectProgress(db: Database, runId: string) {
  const ofDispatch = sql`${shards.dispatch} = ${runs.dispatch}`
  const askedAt = sql`IF(${runs.dispatch} = 0, ${runs.requestedAt}, ${dispatches.openedAt})`
  const firstClaim = sql`MIN(IF(${ofDispatch}, ${shards.claimedAt}, NULL))`
  const lastCommit = sql`MAX(IF(${ofDispatch}, ${shards.committedAt}, NULL))`
  const computed = sql`${shards.state} = 'done'`
  return db
    .select({
      runId: runs.runId,
      date: runs.revenueDate,
      version: runs.version,
      state: runs.state,
      dispatch: runs.dispatch,
      shardCount: runs.shardCount,
      announced: runs.announcedAt,
      elapsedUs: sql<
        string | null
      >`TIMESTAMPDIFF(MICROSECOND, ${askedAt}, COALESCE(${runs.decidedAt}, UTC_TIMESTAMP(3)))`,
      workingUs: sql<
        string | null
      >`TIMESTAMPDIFF(MICROSECOND, ${firstClaim}, IF(${runs.state} IN ('planning', 'running'), UTC_TIMESTAMP(3), ${lastCommit}))`,
      offered: inState("offered"),
      claimed: inState("claimed"),
      done: inState("done"),
      failed: inState("failed"),
      missing: inState("missing"),
      purchases: sql<string | null>`SUM(IF(${computed}, ${shards.purchases}, 0))`,
      dispatchPurchases: sql<string | null>`SUM(IF(${computed} AND ${ofDispatch}, ${shards.purchases}, 0))`,
      tasks: sql<string>`COUNT(DISTINCT IF(${shards.state} = 'claimed', CONCAT(${shards.execution}, '/', ${shards.taskIndex}), NULL))`,
    })
    .from(runs)
    .leftJoin(dispatches, sql`${dispatches.runId} = ${runs.runId} AND ${dispatches.dispatch} = ${runs.dispatch}`)
    .leftJoin(shards, eq(shards.runId, runs.runId))
    .where(eq(runs.runId, runId))
    .groupBy(runs.runId, dispatches.openedAt)
}

async function sleepFor(ms: number, signal?: AbortSignal): Promise<void> {
  await wait(ms, undefined, signal ? { signal } : {})
}
