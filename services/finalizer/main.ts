import { explainDatabaseError } from "../../shared/database/explain-database-error.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { openSource } from "../../shared/database/open-source.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { openExecutions } from "../../shared/google/open-run.ts"
import { runProcess } from "../../shared/lifecycle.ts"
import { startPushServer } from "../../shared/messages/push-server.ts"
import { topics } from "../../shared/messages/topics.ts"
import { openTokenVerifier } from "../../shared/messages/verify-push-token.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { openTracing } from "../../shared/telemetry/trace-exporter.ts"
import { readFinalizerConfig } from "./config.ts"
import { lookAgain } from "./look-again.ts"
import { createChangeSender } from "./send-day-changes.ts"
import { type SweepContext, sweep } from "./sweep.ts"
import { takeAuditRequest } from "./take-audit-request.ts"
import { takeShardReport } from "./take-report.ts"

// Less than half of what Cloud Run and Pub/Sub give a push; the sweep goes on with what is left.
const AUDITS_PER_MESSAGE_MS = 240_000

/** The finalizer: takes reports, and gives every run its verdict. */
export async function run(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const config = readFinalizerConfig(env)
  const log = await createLog("finalizer", config.LOG_LEVEL, config.GOOGLE_CLOUD_PROJECT)
  const tracing = await openTracing(config, "finalizer", log)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: config.DATABASE_CONNECTIONS })
  const source = await openSource(config, database, config.DATABASE_CONNECTIONS)
  const pubsub = openPubSub(config)
  const dayChanges = pubsub.topic(topics.dayChanges, { batching: { maxMessages: 1 } })
  const bucket = openBucket(config)
  const context: SweepContext = {
    db: database.db,
    source: source.db,
    bucket,
    pubsub,
    verdicts: pubsub.topic(topics.runVerdicts, { batching: { maxMessages: 1 } }),
    executions: openExecutions(config),
    log,
    job: config.WORKER_JOB,
    underWay: new Map(),
    planningMsMax: config.PLANNING_MINUTES_MAX * 60_000,
    versionsKept: config.KEEP_VERSIONS,
    retention: config,
    nextRetentionAt: new Date(0),
    runRequests: pubsub.topic(topics.runRequests, { batching: { maxMessages: 1 } }),
    sendDayChanges: createChangeSender(database.db, dayChanges, bucket.name),
    night: config,
    nightPlanned: undefined,
    isAuditing: false,
    signal,
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
      [`/${topics.shardReports}`]: (message) => takeShardReport(context, message),
      [`/${topics.auditRequests}`]: async (message) => {
        await takeAuditRequest(context, message)
        await lookAgain(context, AUDITS_PER_MESSAGE_MS)
      },
    },
    calls: { "/sweep": () => sweep(context) },
  })
  log.info({ url: server.url }, "listening")
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
  // What is being settled is settled first; what is not is delivered again.
  await server.close()
  await Promise.all([database.close(), source.close(), pubsub.close(), tracing.close()])
  return 0
}

if (import.meta.main) void runProcess(run)
