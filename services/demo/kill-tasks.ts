import { setTimeout as wait } from "node:timers/promises"
import type { Database } from "../../shared/database/open-database.ts"
import { listUnfinishedShards, type Shard } from "../../shared/ledger/shards/find-shards.ts"
import { isTransient } from "../../shared/transient.ts"
import type { RunJobsServer } from "../emulators/run-jobs/server.ts"
import { CRASHES_PER_SHARD_MAX, KILLS_PER_TASK_MAX } from "./limits.ts"

// A shard takes some 50 ms, or less: often enough to see most claims.
const LOOK_MS = 5
// Claims that come and go between two looks are never seen: count on no more than this share of them.
const SEEN_SHARE = 0.5

export interface KillSummary {
  asked: number
  killed: number
}

export interface Killing {
  /** Begins to kill tasks that work for this run. */
  begin(runId: string): void
  end(): Promise<void>
  summary(): KillSummary
}

type Claim = Pick<Shard, "shardIndex" | "epoch" | "crashes" | "execution" | "taskIndex" | "attempt">

/**
 * Kills `kills` tasks at random moments while they hold a claim: at each look, a claim not seen before is doomed with
 * the probability of kills still to do among the claims still to be seen. So the kills spread over the run, and come
 * out as many as asked for. (Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S.)
 */
export function startKilling(
  runJobs: Pick<RunJobsServer, "tasks" | "killTask">,
  db: Database,
  kills: number,
  signal: AbortSignal,
  random: () => number = Math.random,
): Killing {
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  let killed = 0
  let work: Promise<void> | undefined

  async function killDuring(runId: string): Promise<void> {
    const killsByTask = new Map<number, number>()
    const killsOf = (claim: Claim) => killsByTask.get(claim.taskIndex ?? -1) ?? 0
    const seen = new Set<string>()
    while (killed < kills && !stop.aborted) {
      const unfinished = await listUnfinishedShards(db, runId)
      const claims = unfinished.filter((shard) => shard.state === "claimed")
      // The least killed task first: it is doomed most likely.
      for (const claim of claims.toSorted((a, b) => killsOf(a) - killsOf(b))) {
        const key = `${claim.shardIndex}:${claim.epoch}`
        if (seen.has(key)) continue
        seen.add(key)
        if (claim.crashes >= CRASHES_PER_SHARD_MAX || killsOf(claim) >= KILLS_PER_TASK_MAX) continue
        const isDoomed = random() < (kills - killed) / (unfinished.length * SEEN_SHARE)
        if (!isDoomed || !killClaimant(runJobs, claim)) continue
        killed++
        killsByTask.set(claim.taskIndex ?? -1, killsOf(claim) + 1)
      }
      await wait(LOOK_MS, undefined, { signal: stop }).catch(() => undefined)
    }
  }

  return {
    begin(runId) {
      // The database going away is the end of the demo, which says so itself.
      work ??= killDuring(runId).catch((error: unknown) => {
        if (!stop.aborted && !isTransient(error)) throw error
      })
    },
    async end() {
      ended.abort()
      await work
    },
    summary: () => ({ asked: kills, killed }),
  }
}

/** Kills the very attempt that holds the claim; false if it does not run any more. */
function killClaimant(runJobs: Pick<RunJobsServer, "tasks" | "killTask">, claim: Claim): boolean {
  const running = runJobs
    .tasks()
    .find(
      (task) =>
        task.taskIndex === claim.taskIndex &&
        task.attempt === claim.attempt &&
        task.execution.endsWith(`/${claim.execution}`),
    )
  return running !== undefined && runJobs.killTask(running.execution, running.taskIndex, "SIGKILL")
}
