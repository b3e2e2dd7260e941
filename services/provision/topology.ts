import { readFileSync } from "node:fs"
import { topics } from "../../shared/messages/topics.ts"

/** What Daybook needs of Pub/Sub in one project, whether Google's or a local one. Names are short: without the project. */
export interface Topology {
  schemas: SchemaSpec[]
  topics: TopicSpec[]
  subscriptions: SubscriptionSpec[]
}

export interface SchemaSpec {
  name: string
  /** The text of a .proto file with one message. */
  definition: string
}

export interface TopicSpec {
  name: string
  /** Messages are checked against it, as JSON; without one, anything goes. */
  schema?: string
  /** How long a subscription that is made later can go back, without which it sees what is published from then on. */
  retentionSeconds?: number
  labels: Record<string, string>
}

export interface SubscriptionSpec {
  name: string
  topic: string
  ackDeadlineSeconds: number
  /** How long a message waits that nobody acknowledges. */
  retentionSeconds: number
  labels: Record<string, string>
  push?: { endpoint: string; identity?: PushIdentity }
  retry?: { minSeconds: number; maxSeconds: number }
  deadLetters?: { topic: string; attemptsMax: number }
}

/** Whom a push says it comes from: https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions */
interface PushIdentity {
  serviceAccountEmail: string
  audience: string
}

export interface TopologyOptions {
  plannerUrl: string
  finalizerUrl: string
  /** Without it nobody is notified of changes of days. */
  notifyUrl?: string
  /** Service account of the pushes; the audience is the service's URL unless given. Without it pushes are anonymous. */
  pushServiceAccount?: string
  pushAudience?: string
  /** How long a message that was refused waits for its next delivery. */
  retry?: { minSeconds: number; maxSeconds: number }
  /** Deliveries after which a message goes to the dead letters. */
  deliveryAttemptsMax?: number
}

/** Only where somebody is notified of changes of days. */
export const NOTIFY_SUBSCRIPTION = "notify-day-changes"

// A publish that does not fit its schema is refused at the door. Dead letters are whatever could not be handled.
const contracts = {
  [topics.runRequests]: "run_request",
  [topics.runStarts]: "run_start",
  [topics.rerunRequests]: "rerun_request",
  [topics.backfillRequests]: "backfill_request",
  [topics.cancelRequests]: "cancel_request",
  [topics.pauseRequests]: "pause_request",
  [topics.releaseRequests]: "release_request",
  [topics.auditRequests]: "audit_request",
  [topics.workItems]: "work_item",
  [topics.shardReports]: "shard_report",
  [topics.runVerdicts]: "run_verdict",
  [topics.dayChanges]: "day_change",
}

// By them bills and consoles tell what is Daybook's: https://cloud.google.com/pubsub/docs/labels
const labels = { app: "daybook" }

// A few small messages a day, that somebody may want to see again. Work items and reports are many, and of no use later.
const kept: string[] = [
  topics.runRequests,
  topics.rerunRequests,
  topics.backfillRequests,
  topics.cancelRequests,
  topics.pauseRequests,
  topics.releaseRequests,
  topics.auditRequests,
  topics.runVerdicts,
  topics.dayChanges,
]

// Planning or verifying a big day takes minutes, and the push is answered at its end. Google's most.
const PUSH_ACK_DEADLINE_SECONDS = 600
// A minute of trouble is over by the second delivery, and ten deliveries spread over more than an hour.
const RETRY = { minSeconds: 10, maxSeconds: 600 }
const DELIVERY_ATTEMPTS_MAX = 10

const PULL_ACK_DEADLINE_SECONDS = 60
const DAY_SECONDS = 24 * 3600
const RETENTION_SECONDS = 7 * DAY_SECONDS
// Somebody has to look at them, and may be on holiday. Google's most.
const DEAD_LETTER_RETENTION_SECONDS = 31 * DAY_SECONDS

/** Subscriptions of single runs are not part of it: the planner creates them. */
export function describeTopology(options: TopologyOptions): Topology {
  const push = (name: string, topic: string, service: string): SubscriptionSpec => ({
    name,
    topic,
    ackDeadlineSeconds: PUSH_ACK_DEADLINE_SECONDS,
    retentionSeconds: RETENTION_SECONDS,
    labels,
    push: {
      endpoint: `${service.replace(/\/$/, "")}/${topic}`,
      ...(options.pushServiceAccount
        ? {
            identity: { serviceAccountEmail: options.pushServiceAccount, audience: options.pushAudience ?? service },
          }
        : {}),
    },
    retry: options.retry ?? RETRY,
    deadLetters: { topic: topics.deadLetters, attemptsMax: options.deliveryAttemptsMax ?? DELIVERY_ATTEMPTS_MAX },
  })
  return {
    schemas: Object.entries(contracts).map(([name, file]) => ({ name, definition: readContract(file) })),
    topics: Object.values(topics).map((name) => ({
      name,
      labels,
      ...(name in contracts ? { schema: name } : {}),
      ...(kept.includes(name) ? { retentionSeconds: RETENTION_SECONDS } : {}),
    })),
    subscriptions: [
      push("planner-run-requests", topics.runRequests, options.plannerUrl),
      push("planner-run-starts", topics.runStarts, options.plannerUrl),
      push("planner-rerun-requests", topics.rerunRequests, options.plannerUrl),
      push("finalizer-backfill-requests", topics.backfillRequests, options.finalizerUrl),
      push("finalizer-release-requests", topics.releaseRequests, options.finalizerUrl),
      push("finalizer-pause-requests", topics.pauseRequests, options.finalizerUrl),
      push("finalizer-cancel-requests", topics.cancelRequests, options.finalizerUrl),
      push("finalizer-audit-requests", topics.auditRequests, options.finalizerUrl),
      push("finalizer-shard-reports", topics.shardReports, options.finalizerUrl),
      ...(options.notifyUrl === undefined ? [] : [push(NOTIFY_SUBSCRIPTION, topics.dayChanges, options.notifyUrl)]),
      // A topic keeps nothing by itself: without a subscription dead letters would be lost.
      {
        name: topics.deadLetters,
        topic: topics.deadLetters,
        ackDeadlineSeconds: PULL_ACK_DEADLINE_SECONDS,
        retentionSeconds: DEAD_LETTER_RETENTION_SECONDS,
        labels,
      },
    ],
  }
}

function readContract(file: string): string {
  return readFileSync(new URL(`../../schemas/messages/${file}.proto`, import.meta.url), "utf8")
}
