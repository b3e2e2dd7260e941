import type { protos } from "@google-cloud/pubsub"
import { checkName, notFound } from "./names.ts"
import { checkLabels, refuse, unimplemented } from "./refusals.ts"
import type { Store } from "./store.ts"
import { durationOf, millisecondsOf } from "./time.ts"

type ISubscription = protos.google.pubsub.v1.ISubscription

// Limits and defaults: the comments of google/pubsub/v1/pubsub.proto, message Subscription.
const DAY_S = 86_400
const ACK_DEADLINE_DEFAULT_S = 10
const ACK_DEADLINE_MIN_S = 10
export const ACK_DEADLINE_MAX_S = 600
const RETENTION_DEFAULT_S = 7 * DAY_S
const RETENTION_MIN_S = 600
const RETENTION_MAX_S = 31 * DAY_S
const EXPIRATION_DEFAULT_S = 31 * DAY_S
const EXPIRATION_MIN_S = DAY_S
const BACKOFF_MINIMUM_DEFAULT_S = 10
const BACKOFF_MAX_S = 600
const ATTEMPTS_DEFAULT = 5
const ATTEMPTS_MIN = 5
const ATTEMPTS_MAX = 100

const NOT_DONE_FIELDS = ["bigqueryConfig", "cloudStorageConfig", "bigtableConfig"] as const

/** Fills in Google's defaults, and refuses what Google refuses or what this server does not do. */
export function checkSettings(store: Store, given: ISubscription): ISubscription {
  for (const field of NOT_DONE_FIELDS) if (given[field]) throw unimplemented(`The subscription's ${field}`)
  if (given.messageTransforms?.length) throw unimplemented("The subscription's messageTransforms")
  checkLabels(given.labels)
  const ackDeadlineSeconds = given.ackDeadlineSeconds || ACK_DEADLINE_DEFAULT_S
  checkAckDeadline(ackDeadlineSeconds)
  const messageRetentionDuration = given.messageRetentionDuration ?? durationOf(RETENTION_DEFAULT_S)
  checkRetention(messageRetentionDuration)
  if (given.enableExactlyOnceDelivery && given.pushConfig?.pushEndpoint) {
    throw refuse("Exactly-once delivery is for pull subscriptions only.")
  }
  const expirationPolicy = given.expirationPolicy ?? { ttl: durationOf(EXPIRATION_DEFAULT_S) }
  // A policy without a time to live means that the subscription never expires.
  if (expirationPolicy.ttl) {
    checkSeconds("expiration_policy.ttl", expirationPolicy.ttl, EXPIRATION_MIN_S, Number.POSITIVE_INFINITY)
  }
  return {
    ...given,
    ackDeadlineSeconds,
    messageRetentionDuration,
    expirationPolicy,
    retryPolicy: given.retryPolicy ? checkRetryPolicy(given.retryPolicy) : null,
    deadLetterPolicy: given.deadLetterPolicy ? checkDeadLetterPolicy(store, given.deadLetterPolicy) : null,
    pushConfig: given.pushConfig?.pushEndpoint ? checkPushConfig(given.pushConfig) : null,
    state: "ACTIVE",
  }
}

/** Of a topic or of a subscription. */
export function checkRetention(duration: protos.google.protobuf.IDuration): void {
  checkSeconds("message_retention_duration", duration, RETENTION_MIN_S, RETENTION_MAX_S)
}

export function checkAckDeadline(seconds: number): void {
  if (seconds < ACK_DEADLINE_MIN_S || seconds > ACK_DEADLINE_MAX_S) {
    throw refuse(
      `Invalid ack deadline given (ack_deadline_seconds=${seconds}): it must be between ${ACK_DEADLINE_MIN_S} and ` +
        `${ACK_DEADLINE_MAX_S} seconds.`,
    )
  }
}

function checkRetryPolicy(policy: protos.google.pubsub.v1.IRetryPolicy): protos.google.pubsub.v1.IRetryPolicy {
  const minimumBackoff = policy.minimumBackoff ?? durationOf(BACKOFF_MINIMUM_DEFAULT_S)
  const maximumBackoff = policy.maximumBackoff ?? durationOf(BACKOFF_MAX_S)
  checkSeconds("retry_policy.minimum_backoff", minimumBackoff, 0, BACKOFF_MAX_S)
  checkSeconds("retry_policy.maximum_backoff", maximumBackoff, 0, BACKOFF_MAX_S)
  if (millisecondsOf(minimumBackoff) > millisecondsOf(maximumBackoff)) {
    throw refuse("The retry policy's minimum_backoff is greater than its maximum_backoff.")
  }
  return { minimumBackoff, maximumBackoff }
}

function checkDeadLetterPolicy(
  store: Store,
  policy: protos.google.pubsub.v1.IDeadLetterPolicy,
): protos.google.pubsub.v1.IDeadLetterPolicy {
  const deadLetterTopic = checkName("topics", policy.deadLetterTopic)
  if (!store.topics.has(deadLetterTopic)) throw notFound(deadLetterTopic)
  const maxDeliveryAttempts = policy.maxDeliveryAttempts || ATTEMPTS_DEFAULT
  if (maxDeliveryAttempts < ATTEMPTS_MIN || maxDeliveryAttempts > ATTEMPTS_MAX) {
    throw refuse(
      `Invalid dead letter policy (max_delivery_attempts=${maxDeliveryAttempts}): it must be between ${ATTEMPTS_MIN} ` +
        `and ${ATTEMPTS_MAX}.`,
    )
  }
  return { deadLetterTopic, maxDeliveryAttempts }
}

function checkPushConfig(config: protos.google.pubsub.v1.IPushConfig): protos.google.pubsub.v1.IPushConfig {
  if (config.noWrapper) throw unimplemented("The push configuration's noWrapper")
  const url = URL.parse(config.pushEndpoint ?? "")
  // Google insists on https; services on one machine have no certificates.
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw refuse(`Invalid push endpoint given (endpoint=${config.pushEndpoint}).`)
  }
  return config
}

function checkSeconds(field: string, duration: protos.google.protobuf.IDuration, min: number, max: number): void {
  const seconds = millisecondsOf(duration) / 1000
  if (seconds < min || seconds > max) throw refuse(`The value for ${field} is out of bounds: ${seconds}s.`)
}
