import { readThrottle } from "../../shared/database/find-busy-reason.ts"
import { openExecutions } from "../../shared/google/open-run-jobs.ts"
import { runProcess } from "../../shared/lifecycle.ts"
import type { PushMessage } from "../../shared/messages/push-server.ts"
import { topics } from "../../shared/messages/topics.ts"
import { openService } from "../../shared/open-service.ts"
import { readFinalizerConfig } from "./config.ts"
import { driveBackfills } from "./duties/drive-backfills.ts"
import { lookAgain } from "./duties/look-again.ts"
import { createChangeSender } from "./duties/send-day-changes.ts"
import { startWaiting } from "./duties/start-waiting.ts"
import { openThrottles } from "./proof/throttles.ts"
import { takeAuditRequest } from "./requests/take-audit-request.ts"
import { takeBackfillRequest } from "./requests/take-backfill-request.ts"
import { takeCancelRequest } from "./requests/take-cancel-request.ts"
import { takePauseRequest } from "./requests/take-pause-request.ts"
import { takeReleaseRequest } from "./requests/take-release-request.ts"
import { takeShardReport } from "./requests/take-shard-report.ts"
import { createSweep, type SweepContext } from "./sweep.ts"
import { readChecks } from "./verdict/run-checks.ts"

// Less than half of what Cloud Run and Pub/Sub give a push; the sweep goes on with what is left.
const AUDITS_PER_MESSAGE_MS = 240_000

/** The finalizer: takes reports, gives every run its verdict, and looks at published days again. */
export async function run(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const config = readFinalizerConfig(env)
  const { serve, topic, ...service } = await openService("finalizer", config)
  const context: SweepContext = {
    ...service,
    verdicts: topic(topics.runVerdicts),
    executions: openExecutions(config),
    job: config.WORKER_JOB,
    underWay: new Map(),
    throttles: openThrottles({ shopDb: service.shopDb, settings: readThrottle(config), log: service.log, signal }),
    checks: readChecks(),
    verifyingMsMax: config.VERIFYING_MINUTES_MAX * 60_000,
    planningMsMax: config.PLANNING_MINUTES_MAX * 60_000,
    versionsKept: config.KEEP_VERSIONS,
    retention: config,
    hasMetrics: config.OTEL_METRICS_EXPORTER !== "none",
    runRequests: topic(topics.runRequests),
    runStarts: topic(topics.runStarts),
    sendDayChanges: createChangeSender(service.db, topic(topics.dayChanges), service.bucket.name),
    startWaiting: () => startWaiting(context),
    driveBackfills: () => driveBackfills(context),
    night: config,
    nightPlanned: undefined,
    auditingSinceMs: undefined,
    signal,
    now: () => new Date(),
  }
  const messages = {
    [`/${topics.shardReports}`]: (message: PushMessage) => takeShardReport(context, message),
    [`/${topics.backfillRequests}`]: (message: PushMessage) => takeBackfillRequest(context, message),
    [`/${topics.pauseRequests}`]: (message: PushMessage) => takePauseRequest(context, message),
    [`/${topics.releaseRequests}`]: (message: PushMessage) => takeReleaseRequest(context, message),
    [`/${topics.cancelRequests}`]: (message: PushMessage) => takeCancelRequest(context, message),
    [`/${topics.auditRequests}`]: async (message: PushMessage) => {
      await takeAuditRequest(context, message)
      await lookAgain(context, AUDITS_PER_MESSAGE_MS)
    },
  }
  await serve({ messages, calls: { "/sweep": createSweep(context) } }, signal)
  return 0
}

if (import.meta.main) void runProcess(run)
