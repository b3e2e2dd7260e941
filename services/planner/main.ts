import { openJobs } from "../../shared/google/open-run-jobs.ts"
import { runProcess } from "../../shared/lifecycle.ts"
import type { PushMessage } from "../../shared/messages/push-server.ts"
import { topics } from "../../shared/messages/topics.ts"
import { openService } from "../../shared/open-service.ts"
import { readPlannerConfig } from "./config.ts"
import { SHARDS_MAX } from "./plan-ranges.ts"
import { takeRerunRequest } from "./rerun-shards.ts"
import type { RunContext } from "./run-context.ts"
import { takeRunRequest, takeRunStart } from "./start-run.ts"

/** The planner: turns requests into runs and reruns. */
export async function run(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const config = readPlannerConfig(env)
  const { serve, topic, ...service } = await openService("planner", config)
  const context: RunContext = {
    ...service,
    jobs: openJobs(config),
    verdicts: topic(topics.runVerdicts),
    job: config.WORKER_JOB,
    tasksMax: config.TASKS_MAX,
    timeZone: config.REVENUE_TIME_ZONE,
    runsMax: config.RUNS_MAX,
    scanRowsMax: config.SCAN_ROWS_MAX,
    shardPurchases: config.SHARD_PURCHASES,
    shardsMax: SHARDS_MAX,
    now: () => new Date(),
  }
  const messages = {
    [`/${topics.runRequests}`]: (message: PushMessage) => takeRunRequest(context, message),
    [`/${topics.runStarts}`]: (message: PushMessage) => takeRunStart(context, message),
    [`/${topics.rerunRequests}`]: (message: PushMessage) => takeRerunRequest(context, message),
  }
  await serve({ messages }, signal)
  return 0
}

if (import.meta.main) void runProcess(run)
