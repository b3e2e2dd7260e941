import type { protos } from "@google-cloud/pubsub"
import type { UnaryMethods } from "../service-methods.ts"
import { Backlog, type DeliveryPolicy } from "./backlog.ts"
import { forwardDeadLetter } from "./dead-letter.ts"
import { readFieldMask } from "./field-mask.ts"
import { parseFilter } from "./filter.ts"
import type { PublishedMessage } from "./messages.ts"
import { alreadyExists, checkName, checkProject, nameOrRandom, notFound } from "./names.ts"
import { pageOf } from "./pages.ts"
import { startPush } from "./push.ts"
import { exhausted, failedPrecondition } from "./refusals.ts"
import { keepYounger } from "./retention.ts"
import type { Store, Subscription, Topic } from "./store.ts"
import { checkSettings } from "./subscription-settings.ts"
import { millisecondsOf } from "./time.ts"

type ISubscription = protos.google.pubsub.v1.ISubscription

// https://cloud.google.com/pubsub/quotas#resource_limits
const TOPIC_SUBSCRIPTIONS_MAX = 10_000

// The topic, the filter, ordering and the name are for good.
const MUTABLE_FIELDS = [
  "ackDeadlineSeconds",
  "deadLetterPolicy",
  "enableExactlyOnceDelivery",
  "expirationPolicy",
  "labels",
  "messageRetentionDuration",
  "pushConfig",
  "retainAckedMessages",
  "retryPolicy",
] as const

export function subscriptionMethods(store: Store): UnaryMethods {
  return {
    CreateSubscription: (request: ISubscription) => createSubscription(store, request),
    GetSubscription: (request: protos.google.pubsub.v1.IGetSubscriptionRequest) =>
      findSubscription(store, request.subscription).resource,
    UpdateSubscription: (request: protos.google.pubsub.v1.IUpdateSubscriptionRequest) =>
      updateSubscription(store, request),
    ListSubscriptions: (request: protos.google.pubsub.v1.IListSubscriptionsRequest) =>
      listSubscriptions(store, request),
    DeleteSubscription: (request: protos.google.pubsub.v1.IDeleteSubscriptionRequest) =>
      deleteSubscription(store, request.subscription),
    ModifyPushConfig: (request: protos.google.pubsub.v1.IModifyPushConfigRequest) => {
      const subscription = findSubscription(store, request.subscription)
      changeSubscription(store, subscription, { pushConfig: request.pushConfig ?? null })
      return {}
    },
  }
}

export function findSubscription(store: Store, name: string | null | undefined): Subscription {
  const subscription = store.subscriptions.get(checkName("subscriptions", name))
  if (!subscription) throw notFound(name ?? "")
  return subscription
}

/** Nothing comes to it any more, and what it has is dropped. */
export function detachSubscription(subscription: Subscription): void {
  subscription.topic?.subscriptions.delete(subscription)
  subscription.topic = undefined
  subscription.push?.stop()
  subscription.push = undefined
  subscription.acknowledged = []
  subscription.backlog.replace([])
  subscription.resource = { ...subscription.resource, detached: true }
  endWaiting(subscription, detached())
}

const detached = () => failedPrecondition("The subscription is detached from its topic.")

/** A subscription that messages can be pulled of. */
export function findPullSubscription(store: Store, name: string | null | undefined): Subscription {
  const subscription = findSubscription(store, name)
  if (subscription.resource.detached) throw detached()
  if (subscription.push) throw pushOnly()
  return subscription
}

/** Stops everything of a subscription: deliveries, and with `reason` the calls that wait for them. */
export function closeSubscription(subscription: Subscription, reason: Error): void {
  subscription.push?.stop()
  subscription.push = undefined
  endWaiting(subscription, reason)
  subscription.backlog.close()
}

function createSubscription(store: Store, request: ISubscription): ISubscription {
  const topicName = checkName("topics", request.topic)
  const name = nameOrRandom("subscriptions", request.name, topicName)
  if (store.subscriptions.has(name)) throw alreadyExists(name)
  const topic = store.topics.get(topicName)
  if (!topic) throw notFound(topicName)
  if (topic.subscriptions.size >= TOPIC_SUBSCRIPTIONS_MAX) {
    throw exhausted(`The topic has ${TOPIC_SUBSCRIPTIONS_MAX} subscriptions already.`)
  }
  const resource = { ...checkSettings(store, request), name, topic: topicName }
  return openSubscription(store, resource, topic).resource
}

/** Begins with a subscription whose settings are known to be right. */
export function openSubscription(
  store: Store,
  resource: Subscription["resource"],
  topic: Topic | undefined,
): Subscription {
  const filter = resource.filter ? parseFilter(resource.filter) : undefined
  const backlog = new Backlog({
    clock: store.clock,
    ordered: resource.enableMessageOrdering ?? false,
    policy: { ackDeadlineMs: 0 },
    onAcknowledged: (message) => keepAcknowledged(store, subscription, message),
  })
  const waiting: Subscription["waiting"] = new Set()
  const subscription: Subscription = { resource, topic, filter, backlog, acknowledged: [], push: undefined, waiting }
  applySettings(store, subscription)
  store.subscriptions.set(resource.name, subscription)
  topic?.subscriptions.add(subscription)
  return subscription
}

function keepAcknowledged(store: Store, subscription: Subscription, message: PublishedMessage): void {
  store.touch()
  const { retainAckedMessages, messageRetentionDuration } = subscription.resource
  if (!retainAckedMessages || !messageRetentionDuration) return
  subscription.acknowledged.push(message)
  subscription.acknowledged = keepYounger(subscription.acknowledged, store.clock.now(), messageRetentionDuration)
}

function updateSubscription(store: Store, request: protos.google.pubsub.v1.IUpdateSubscriptionRequest): ISubscription {
  const subscription = findSubscription(store, request.subscription?.name)
  const changes: ISubscription = {}
  for (const field of readFieldMask(request.updateMask, MUTABLE_FIELDS)) {
    Object.assign(changes, { [field]: request.subscription?.[field] })
  }
  return changeSubscription(store, subscription, changes)
}

function changeSubscription(store: Store, subscription: Subscription, changes: ISubscription): ISubscription {
  const { name, topic } = subscription.resource
  subscription.resource = { ...checkSettings(store, { ...subscription.resource, ...changes }), name, topic }
  applySettings(store, subscription)
  return subscription.resource
}

/** Brings deliveries in line with the resource; what is outstanding keeps its deadline. */
function applySettings(store: Store, subscription: Subscription): void {
  const { resource, backlog } = subscription
  backlog.policy = deliveryPolicy(store, subscription)
  // A change of labels must not restart the pushes.
  if (subscription.push?.config === resource.pushConfig) return
  subscription.push?.retire()
  subscription.push = resource.pushConfig ? startPush(store, subscription, resource.pushConfig) : undefined
  if (subscription.push) endWaiting(subscription, pushOnly())
}

function deliveryPolicy(store: Store, subscription: Subscription): DeliveryPolicy {
  const { ackDeadlineSeconds, retryPolicy, deadLetterPolicy } = subscription.resource
  return {
    ackDeadlineMs: (ackDeadlineSeconds ?? 0) * 1000,
    retry: retryPolicy
      ? {
          minimumMs: millisecondsOf(retryPolicy.minimumBackoff ?? {}),
          maximumMs: millisecondsOf(retryPolicy.maximumBackoff ?? {}),
        }
      : undefined,
    deadLetter: deadLetterPolicy
      ? {
          attemptsMax: deadLetterPolicy.maxDeliveryAttempts ?? 0,
          forward: (message, attempts) => forwardDeadLetter(store, subscription, message, attempts),
        }
      : undefined,
  }
}

function pushOnly(): Error {
  return failedPrecondition("This method is not supported for this subscription type.")
}

function endWaiting(subscription: Subscription, reason: Error): void {
  for (const end of subscription.waiting) end(reason)
}

function listSubscriptions(store: Store, request: protos.google.pubsub.v1.IListSubscriptionsRequest) {
  const project = `${checkProject(request.project)}/`
  const subscriptions = [...store.subscriptions.values()].map(({ resource }) => resource)
  const ours = subscriptions.filter(({ name }) => name.startsWith(project))
  const { page, nextPageToken } = pageOf(ours, ({ name }) => name, request)
  return { subscriptions: page, nextPageToken }
}

function deleteSubscription(store: Store, name: string | null | undefined): object {
  const subscription = findSubscription(store, name)
  store.subscriptions.delete(subscription.resource.name)
  store.policies.delete(subscription.resource.name)
  subscription.topic?.subscriptions.delete(subscription)
  closeSubscription(subscription, notFound(subscription.resource.name))
  return {}
}
