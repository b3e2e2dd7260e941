import type { JobsClient } from "@google-cloud/run"
import { type RetryOptions, retryTransient } from "../../shared/retry.ts"

/** How many tasks an execution for so many shards is to have. */
export type CountTasks = (shards: number) => number

export interface TaskLimits extends RetryOptions {
  jobs: JobsClient
  /** Full name of the worker's job. */
  job: string
  /** Tasks of an execution where the job sets no parallelism. */
  tasksMax: number
}

// Cloud Run's own limit: https://cloud.google.com/run/quotas
export const TASKS_LIMIT = 10_000

/**
 * Asks the job how many tasks an execution is to have: what can run at once, never below the job's parallelism (Cloud Run
 * refuses that), never more than the shards unless that rule asks for it. A parallelism of 0 means that Cloud Run sets
 * no bound.
 */
export async function readTaskLimits(limits: TaskLimits): Promise<CountTasks> {
  const parallelism = await retryTransient(
    `get ${limits.job}`,
    async () => {
      const [job] = await limits.jobs.getJob({ name: limits.job })
      return job.template?.parallelism ?? 0
    },
    limits,
  )
  const atOnce = parallelism > 0 ? parallelism : limits.tasksMax
  return (shards) => Math.min(TASKS_LIMIT, Math.max(1, parallelism, Math.min(atOnce, shards)))
}
