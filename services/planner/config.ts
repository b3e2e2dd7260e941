import * as v from "valibot"
import { readConfig, wholeNumber } from "../../shared/config/read-config.ts"
import {
  bucketSettings,
  databaseSettings,
  daySettings,
  googleSettings,
  jobSettings,
  logSettings,
  pushSettings,
  serverSettings,
  sourceSettings,
  telemetrySettings,
} from "../../shared/config/settings.ts"
import { readSettings, shopSettings } from "../../shared/config/shop-settings.ts"
import { TASKS_LIMIT } from "./task-limits.ts"

const SHARD_PURCHASES_LIMIT = 1_000_000_000

export function readPlannerConfig(env: NodeJS.ProcessEnv) {
  return readConfig(
    {
      ...databaseSettings,
      ...sourceSettings,
      ...shopSettings,
      ...readSettings,
      ...googleSettings,
      ...bucketSettings,
      ...jobSettings,
      ...serverSettings,
      ...logSettings,
      ...telemetrySettings,
      ...pushSettings(env),
      ...daySettings,
      SHARD_PURCHASES: v.optional(
        v.pipe(
          v.union(
            [v.literal("auto"), wholeNumber("", 1, SHARD_PURCHASES_LIMIT)],
            `is neither auto nor a whole number from 1 to ${SHARD_PURCHASES_LIMIT}`,
          ),
          v.description("about how many purchases a shard holds; auto: by the size of the day and the tasks"),
        ),
        "auto",
      ),
      TASKS_MAX: v.optional(
        wholeNumber("how many tasks an execution has at most, where the job sets no parallelism", 1, TASKS_LIMIT),
        "10",
      ),
      RUNS_MAX: v.optional(
        wholeNumber("how many runs may be at work at once; others wait for their turn", 1, 1_000),
        "10",
      ),
      DATABASE_CONNECTIONS: v.optional(wholeNumber("connections to the database, at most", 1, 1_000), "4"),
    },
    env,
  )
}
