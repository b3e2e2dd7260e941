import * as v from "valibot"
import { form, readConfig, text, wholeNumber } from "../../shared/config/read-config.ts"
import {
  bucketSettings,
  databaseSettings,
  googleSettings,
  logSettings,
  metricSettings,
  sourceSettings,
  telemetrySettings,
  throttleSettings,
} from "../../shared/config/settings.ts"
import { shopSettings } from "../../shared/config/shop-settings.ts"

export type WorkerConfig = ReturnType<typeof readWorkerConfig>

const COUNT_MAX = 1_000_000

export function readWorkerConfig(env: NodeJS.ProcessEnv) {
  return readConfig(
    {
      ...databaseSettings,
      ...sourceSettings,
      ...shopSettings,
      ...googleSettings,
      ...bucketSettings,
      ...logSettings,
      ...telemetrySettings,
      ...metricSettings,
      ...throttleSettings,
      RUN_ID: form("the run, set by the planner", /^\d{4}-\d{2}-\d{2}-\S+$/, "a run's id"),
      DISPATCH: wholeNumber("the dispatch, set by the planner", 0, COUNT_MAX),
      TRACEPARENT: v.optional(text("the trace of the run, set by the planner")),
      // https://cloud.google.com/run/docs/container-contract#env-vars
      CLOUD_RUN_EXECUTION: text("the execution, set by Cloud Run"),
      CLOUD_RUN_TASK_INDEX: wholeNumber("the task's index, set by Cloud Run", 0, COUNT_MAX),
      CLOUD_RUN_TASK_COUNT: wholeNumber("tasks of the execution, set by Cloud Run", 1, COUNT_MAX),
      CLOUD_RUN_TASK_ATTEMPT: wholeNumber("the try of this task, set by Cloud Run", 0, COUNT_MAX),
      SHARD_CRASHES_MAX: v.optional(
        wholeNumber("how often a shard may crash its task before it is marked failed; below the job's retries", 1, 10),
        "3",
      ),
    },
    env,
  )
}
