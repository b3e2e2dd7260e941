import type { protos } from "@google-cloud/pubsub"
import type { UnaryCall } from "../service-methods.ts"
import { matchesFilter } from "./filter.ts"
import { countBytes, type NewMessage, type PublishedMessage } from "./messages.ts"
import { checkName, notFound } from "./names.ts"
import { refuse } from "./refusals.ts"
import { keepYounger } from "./retention.ts"
import { type Store, type Topic, topicSnapshots } from "./store.ts"
import { checkAgainstSchema } from "./topic-schema.ts"

// https://cloud.google.com/pubsub/quotas#resource_limits
const PUBLISH_MESSAGES_MAX = 1000
const PUBLISH_BYTES_MAX = 10_000_000
const ATTRIBUTES_MAX = 100
const ATTRIBUTE_KEY_BYTES_MAX = 256
const ATTRIBUTE_VALUE_BYTES_MAX = 1024
const ORDERING_KEY_BYTES_MAX = 1024

// For inspection only, so a long-lived local cloud forgets the oldest; deliveries do not depend on it.
const PUBLISHED_KEPT_MAX = 10_000

// Whoever awaits the publish must know the id before any subscriber sees the message, but the answer and a delivery
// come over different connections, and grpc-js takes several turns of the event loop to hand an answer over.
const ANSWER_GRACE_MS = 2

export function publish(
  store: Store,
  request: protos.google.pubsub.v1.IPublishRequest,
  call: UnaryCall,
): protos.google.pubsub.v1.IPublishResponse {
  const topic = store.topics.get(checkName("topics", request.topic))
  if (!topic) throw notFound(request.topic ?? "")
  const { messages, distribute } = acceptMessages(store, topic, checkMessages(topic, store, request.messages ?? []))
  call.onEnd(() => setTimeout(distribute, ANSWER_GRACE_MS))
  return { messageIds: messages.map((message) => message.messageId) }
}

/**
 * Gives the messages their ids and time. They belong to the subscriptions that the topic has now, and are delivered from
 * `distribute` on. A message that a subscription's filter refuses never gets there, which is as good as acknowledged.
 */
export function acceptMessages(
  store: Store,
  topic: Topic,
  accepted: NewMessage[],
): { messages: PublishedMessage[]; distribute: () => void } {
  const publishedAt = store.clock.now()
  const messages = accepted.map((message) => ({
    ...message,
    messageId: String(++store.lastMessageId),
    publishedAt,
    bytes: countBytes(message.data, message.attributes, message.orderingKey),
  }))
  for (const message of messages) topic.published.push(message)
  // Cut at twice the limit, so that the cost per message stays constant.
  if (topic.published.length > 2 * PUBLISHED_KEPT_MAX) topic.published = topic.published.slice(-PUBLISHED_KEPT_MAX)
  store.touch()
  keepForSeek(store, topic, messages)
  const announced = [...topic.subscriptions].map(({ filter, backlog }) =>
    backlog.announce(filter ? messages.filter((message) => matchesFilter(filter, message.attributes)) : messages),
  )
  const distribute = () => {
    for (const release of announced) release()
  }
  return { messages, distribute }
}

function keepForSeek(store: Store, topic: Topic, messages: PublishedMessage[]): void {
  for (const snapshot of topicSnapshots(store, topic.resource.name)) snapshot.messages.push(...messages)
  const { messageRetentionDuration } = topic.resource
  if (!messageRetentionDuration) {
    topic.retained = []
    return
  }
  topic.retained.push(...messages)
  topic.retained = keepYounger(topic.retained, store.clock.now(), messageRetentionDuration)
}

function checkMessages(topic: Topic, store: Store, messages: protos.google.pubsub.v1.IPubsubMessage[]): NewMessage[] {
  if (messages.length === 0) throw refuse("The value for message_count is too small. You passed 0, the minimum is 1.")
  if (messages.length > PUBLISH_MESSAGES_MAX) {
    throw refuse(
      `The value for message_count is too large. You passed ${messages.length} in the request, but the maximum value ` +
        `is ${PUBLISH_MESSAGES_MAX}.`,
    )
  }
  let bytes = 0
  const checked = messages.map((message) => {
    const accepted = checkMessage(message)
    bytes += countBytes(accepted.data, accepted.attributes, accepted.orderingKey)
    return accepted
  })
  if (bytes > PUBLISH_BYTES_MAX) {
    throw refuse(`Request payload size exceeds the limit: ${PUBLISH_BYTES_MAX} bytes.`)
  }
  return checked.map((message) => checkAgainstSchema(store, topic, message))
}

function checkMessage(message: protos.google.pubsub.v1.IPubsubMessage): NewMessage {
  const data = Buffer.from(message.data ?? "")
  const attributes = message.attributes ?? {}
  const orderingKey = message.orderingKey ?? ""
  const entries = Object.entries(attributes)
  if (data.length === 0 && entries.length === 0) {
    throw refuse(
      "One or more messages in the publish request is empty. Each message must contain either non-empty data, or at " +
        "least one attribute.",
    )
  }
  if (entries.length > ATTRIBUTES_MAX) {
    throw refuse(`A message in the publish request has more than ${ATTRIBUTES_MAX} attributes.`)
  }
  for (const [key, value] of entries) {
    // `goog` is reserved, but Google's own clients send their trace context as `googclient_…`.
    if (key === "" || /^goog(?!client_)/.test(key) || Buffer.byteLength(key) > ATTRIBUTE_KEY_BYTES_MAX) {
      throw refuse(`A message in the publish request has an invalid attribute key: ${key}`)
    }
    if (Buffer.byteLength(value) > ATTRIBUTE_VALUE_BYTES_MAX) {
      throw refuse(`The attribute ${key} is longer than ${ATTRIBUTE_VALUE_BYTES_MAX} bytes.`)
    }
  }
  if (Buffer.byteLength(orderingKey) > ORDERING_KEY_BYTES_MAX) {
    throw refuse(`An ordering key is longer than ${ORDERING_KEY_BYTES_MAX} bytes.`)
  }
  return { data, attributes, orderingKey }
}
