import { formatNumberOf } from "../../shared/terminal/render-numbers.ts"

/** What Cloud Run allows at most, and what the demo's job has: https://cloud.google.com/run/docs/configuring/max-retries */
export const RETRIES_MAX = 10

/** Leaves a killed task tries for whatever else may happen to it. */
export const KILLS_PER_TASK_MAX = RETRIES_MAX - 2

/** A shard that has crashed its task SHARD_CRASHES_MAX times, 3 unless it is set, is marked failed: one less is safe. */
export const CRASHES_PER_SHARD_MAX = 2

/**
 * How many kills a run of this size surely bears, and why no more. One for each shard: a shard bears two, but some
 * shards are computed before anybody has seen who claimed them.
 */
export function killsMax(options: { purchases: number; shardPurchases: number; tasks: number }): {
  kills: number
  reason: string
} {
  const shards = Math.max(1, Math.floor(options.purchases / options.shardPurchases))
  const tasks = Math.min(options.tasks, shards)
  const byTasks = tasks * KILLS_PER_TASK_MAX
  if (shards <= byTasks) {
    return {
      kills: shards,
      reason: `a day of about ${formatNumberOf(shards, "shard")} bears ${formatNumberOf(shards, "kill")}, each of a task at work on one; use smaller --shard-purchases`,
    }
  }
  return {
    kills: byTasks,
    reason: `${formatNumberOf(tasks, "task")} bear ${formatNumberOf(byTasks, "kill")}, for Cloud Run tries each again ${RETRIES_MAX} times at most and two are kept in reserve; use more --tasks`,
  }
}
