import * as v from "valibot"
import { readConfig, wholeNumber } from "../../shared/config/read-config.ts"
import {
  bucketSettings,
  databaseSettings,
  daySettings,
  deadlineSettings,
  firstDateSettings,
  googleSettings,
  jobSettings,
  logSettings,
  metricSettings,
  pushSettings,
  retentionSettings,
  serverSettings,
  sourceSettings,
  telemetrySettings,
  throttleSettings,
} from "../../shared/config/settings.ts"
import { shopSettings } from "../../shared/config/shop-settings.ts"
import { DAYS_MAX } from "../../shared/day/revenue-day.ts"

export function readFinalizerConfig(env: NodeJS.ProcessEnv) {
  return readConfig(
    {
      ...databaseSettings,
      ...sourceSettings,
      ...shopSettings,
      ...googleSettings,
      ...bucketSettings,
      ...jobSettings,
      ...serverSettings,
      ...logSettings,
      ...telemetrySettings,
      ...metricSettings,
      ...retentionSettings,
      ...throttleSettings,
      ...daySettings,
      ...firstDateSettings,
      ...deadlineSettings,
      AUDIT_DAYS: v.optional(
        wholeNumber("how many published days are audited each night; 0 for none", 0, DAYS_MAX),
        "7",
      ),
      REPAIR_DAYS: v.optional(
        wholeNumber(
          "how many of the newest dates are started anew where an audit finds drift; 0 for none",
          0,
          DAYS_MAX,
        ),
        "3",
      ),
      ...pushSettings(env),
      PLANNING_MINUTES_MAX: v.optional(
        wholeNumber("minutes after which a run without an execution is given up", 1, 10_000),
        "120",
      ),
      VERIFYING_MINUTES_MAX: v.optional(
        wholeNumber("minutes after which a run that cannot be verified is incomplete", 1, 10_000),
        "60",
      ),
      KEEP_VERSIONS: v.optional(wholeNumber("how many versions of a date keep their rows", 1, 100), "2"),
      DATABASE_CONNECTIONS: v.optional(wholeNumber("connections to the database, at most", 1, 1_000), "4"),
    },
    env,
  )
}
