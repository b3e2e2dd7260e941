import { and, desc, eq, gt, sql } from "drizzle-orm"
import { runs, shards } from "../../../schemas/database/ledger.ts"
import type { Database } from "../../database/open-database.ts"

// What runs of this ledger took, to say what others will.

const TIMES_MAX = 35

/** What the newest complete runs took from their beginning to their verdict, ms, the shortest first. */
export async function listRunTimes(db: Database): Promise<number[]> {
  const rows = await db
    .select({
      us: sql<string>`TIMESTAMPDIFF(MICROSECOND, COALESCE(${runs.begunAt}, ${runs.requestedAt}), ${runs.decidedAt})`,
    })
    .from(runs)
    .where(and(eq(runs.state, "complete"), eq(runs.dispatch, 0)))
    .orderBy(desc(runs.decidedAt))
    .limit(TIMES_MAX)
  return rows.map(({ us }) => Number(us) / 1_000).toSorted((a, b) => a - b)
}

/**
 * How long so many runs may take, so many at once, by the newest: between the shorter and the longer half of them. They go in
 * rounds, and the last one takes as long as any other, however few runs are left for it.
 */
export function estimateTime(
  times: number[],
  { runs: count, atOnce }: { runs: number; atOnce: number },
): { fromMs: number; toMs: number } | undefined {
  if (times.length === 0) return undefined
  const rounds = Math.ceil(count / atOnce)
  const total = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? 0) * rounds)
  return { fromMs: total(0.25), toMs: total(0.75) }
}

/** How many purchases a shard held, of the newest complete run of more than one shard; undefined: there is none. */
export async function findPurchasesPerShard(db: Database): Promise<number | undefined> {
  const [run] = await db
    .select({ runId: runs.runId, shardCount: runs.shardCount })
    .from(runs)
    .where(and(eq(runs.state, "complete"), gt(runs.shardCount, 1)))
    .orderBy(desc(runs.decidedAt))
    .limit(1)
  if (!run) return undefined
  const [totals] = await db
    .select({ purchases: sql<string | null>`SUM(${shards.purchases})` })
    .from(shards)
    .where(and(eq(shards.runId, run.runId), eq(shards.state, "done")))
  return Number(totals?.purchases ?? 0) / (run.shardCount ?? 1)
}
