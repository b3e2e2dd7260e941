import { type DestinationStream, pino } from "pino"
import { driveBackfills } from "../../services/finalizer/duties/drive-backfills.ts"
import { createChangeSender } from "../../services/finalizer/duties/send-day-changes.ts"
import { startWaiting } from "../../services/finalizer/duties/start-waiting.ts"
import type { SweepContext } from "../../services/finalizer/sweep.ts"
import { openExecutions } from "../../shared/google/open-run.ts"
import { topics } from "../../shared/messages/topics.ts"
import { openPlannerRoom } from "./planner-room.ts"
import { noThrottles } from "./unthrottled.ts"

interface Line {
  message: string
  duty?: string
  [field: string]: unknown
}

/** A finalizer's surroundings: those of the planner, and what it logs. */
export async function openFinalizerRoom() {
  const room = await openPlannerRoom()
  const lines: Line[] = []
  const destination: DestinationStream = { write: (line) => void lines.push(JSON.parse(line) as Line) }
  const executions = openExecutions(room.settings)
  const topic = (name: string) => room.context.pubsub.topic(name, { batching: { maxMessages: 1 } })
  const { bucket } = room.context

  /** What a process of the finalizer has, by default on the test's own pool. */
  function contextOf(overrides: Partial<SweepContext> = {}): SweepContext {
    const { db = room.context.db } = overrides
    const context: SweepContext = {
      ...room.context,
      shopDb: db,
      log: pino({ messageKey: "message" }, destination),
      explain: () => undefined,
      runRequests: topic(topics.runRequests),
      runStarts: topic(topics.runStarts),
      executions,
      sendDayChanges: createChangeSender(db, topic(topics.dayChanges), bucket.name),
      startWaiting: () => startWaiting(context),
      driveBackfills: () => driveBackfills(context),
      underWay: new Map(),
      throttles: noThrottles,
      checks: [],
      verifyingMsMax: 3_600_000,
      planningMsMax: 7_200_000,
      versionsKept: 2,
      retention: { RETENTION_DAYS: 400 },
      hasMetrics: false,
      night: { REVENUE_TIME_ZONE: "UTC", AUDIT_DAYS: 7, REPAIR_DAYS: 0 },
      nightPlanned: undefined,
      auditingSinceMs: undefined,
      signal: new AbortController().signal,
      now: () => new Date(),
      ...overrides,
    }
    return context
  }
  const close = async () => {
    await executions.close()
    await room.close()
  }
  return { ...room, lines, contextOf, close }
}
