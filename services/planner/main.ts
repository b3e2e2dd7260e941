import { explainDatabaseError } from "../../shared/database/explain-database-error.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { openSource } from "../../shared/database/open-source.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { openJobs } from "../../shared/google/open-run.ts"
import { runProcess } from "../../shared/lifecycle.ts"
import { startPushServer } from "../../shared/messages/push-server.ts"
import { topics } from "../../shared/messages/topics.ts"
import { openTokenVerifier } from "../../shared/messages/verify-push-token.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { openTracing } from "../../shared/telemetry/trace-exporter.ts"
import { readPlannerConfig } from "./config.ts"
import { SHARDS_MAX } from "./plan-ranges.ts"
import { takeRerunRequest } from "./rerun-shards.ts"
import type { RunContext } from "./run-context.ts"
import { takeRunRequest } from "./start-run.ts"

/** The planner: turns requests into runs and reruns. */
export async function run(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const config = readPlannerConfig(env)
  const log = await createLog("planner", config.LOG_LEVEL, config.GOOGLE_CLOUD_PROJECT)
  const tracing = await openTracing(config, "planner", log)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: config.DATABASE_CONNECTIONS })
  const source = await openSource(config, database, config.DATABASE_CONNECTIONS)
  const pubsub = openPubSub(config)
  const context: RunContext = {
    db: database.db,
    source: source.db,
    pubsub,
    bucket: openBucket(config),
    jobs: openJobs(config),
    verdicts: pubsub.topic(topics.runVerdicts, { batching: { maxMessages: 1 } }),
    log,
    job: config.WORKER_JOB,
    tasksMax: config.TASKS_MAX,
    timeZone: config.REVENUE_TIME_ZONE,
    shardPurchases: config.SHARD_PURCHASES,
    shardsMax: SHARDS_MAX,
    now: () => new Date(),
  }
  const server = await startPushServer({
    port: config.PORT,
    host: config.HOST,
    log,
    flush: tracing.flush,
    verify: openTokenVerifier(config),
    explain: (error) => explainDatabaseError(error, config.DATABASE_URL, config.SOURCE_DATABASE_URL),
    messages: {
      [`/${topics.runRequests}`]: (message) => takeRunRequest(context, message),
      [`/${topics.rerunRequests}`]: (message) => takeRerunRequest(context, message),
    },
  })
  log.info({ url: server.url }, "listening")
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
  // What is being settled is settled first; what is not is delivered again.
  await server.close()
  await Promise.all([database.close(), source.close(), pubsub.close(), tracing.close()])
  return 0
}

if (import.meta.main) void runProcess(run)
