import type { protos } from "@google-cloud/pubsub"
import type { UnaryMethods } from "../service-methods.ts"
import { readFieldMask } from "./field-mask.ts"
import { matchesFilter } from "./filter.ts"
import type { PublishedMessage } from "./messages.ts"
import { alreadyExists, checkName, checkProject, nameOrRandom, notFound } from "./names.ts"
import { pageOf } from "./pages.ts"
import { checkLabels, failedPrecondition, refuse } from "./refusals.ts"
import { DELETED_TOPIC, type Snapshot, type Store, type Subscription } from "./store.ts"
import { findSubscription } from "./subscriptions.ts"
import { millisecondsOf, timestampOf } from "./time.ts"

type ISnapshot = protos.google.pubsub.v1.ISnapshot

// "The lifetime of the newly-created snapshot is 7 days - (age of oldest unacked message in the subscription)", and one
// that would live for less than an hour is refused: google/pubsub/v1/pubsub.proto.
const LIFE_MS_MAX = 7 * 86_400_000
const LIFE_MS_MIN = 3_600_000

/** What a subscription has yet to deliver, kept to come back to: https://cloud.google.com/pubsub/docs/replay-overview */
export function snapshotMethods(store: Store): UnaryMethods {
  return {
    CreateSnapshot: (request: protos.google.pubsub.v1.ICreateSnapshotRequest) => createSnapshot(store, request),
    GetSnapshot: (request: protos.google.pubsub.v1.IGetSnapshotRequest) =>
      findSnapshot(store, request.snapshot).resource,
    ListSnapshots: (request: protos.google.pubsub.v1.IListSnapshotsRequest) => {
      const project = `${checkProject(request.project)}/`
      forgetExpired(store)
      const ours = [...store.snapshots.values()].filter(({ resource }) => resource.name.startsWith(project))
      const { page, nextPageToken } = pageOf(ours, ({ resource }) => resource.name, request)
      return { snapshots: page.map(({ resource }) => resource), nextPageToken }
    },
    UpdateSnapshot: (request: protos.google.pubsub.v1.IUpdateSnapshotRequest) => {
      const snapshot = findSnapshot(store, request.snapshot?.name)
      checkLabels(request.snapshot?.labels)
      for (const field of readFieldMask(request.updateMask, ["labels", "expireTime"] as const)) {
        Object.assign(snapshot.resource, { [field]: request.snapshot?.[field] })
      }
      return snapshot.resource
    },
    DeleteSnapshot: (request: protos.google.pubsub.v1.IDeleteSnapshotRequest) => {
      const { name } = findSnapshot(store, request.snapshot).resource
      store.snapshots.delete(name)
      store.policies.delete(name)
      return {}
    },
    Seek: (request: protos.google.pubsub.v1.ISeekRequest) => {
      const subscription = findSubscription(store, request.subscription)
      if (subscription.resource.detached) throw failedPrecondition("The subscription is detached.")
      if (request.snapshot) seekToSnapshot(subscription, findSnapshot(store, request.snapshot))
      else if (request.time) seekToTime(subscription, millisecondsOf(request.time))
      else throw refuse("A seek needs a time or a snapshot.")
      return {}
    },
  }
}

function createSnapshot(store: Store, request: protos.google.pubsub.v1.ICreateSnapshotRequest): ISnapshot {
  const name = nameOrRandom("snapshots", request.name, request.subscription)
  checkLabels(request.labels)
  const { resource, backlog } = findSubscription(store, request.subscription)
  forgetExpired(store)
  if (store.snapshots.has(name)) throw alreadyExists(name)
  if (resource.topic === DELETED_TOPIC) throw failedPrecondition("The subscription's topic has been deleted.")
  const now = store.clock.now()
  const messages = backlog.unacknowledged()
  const lifeMs = LIFE_MS_MAX - (now - (messages[0]?.publishedAt ?? now))
  if (lifeMs < LIFE_MS_MIN) throw failedPrecondition("The snapshot would expire in less than 1 hour.")
  const snapshot = {
    resource: { name, topic: resource.topic, expireTime: timestampOf(now + lifeMs), labels: request.labels ?? {} },
    messages,
  }
  store.snapshots.set(name, snapshot)
  return snapshot.resource
}

function findSnapshot(store: Store, name: string | null | undefined): Snapshot {
  forgetExpired(store)
  const snapshot = store.snapshots.get(checkName("snapshots", name))
  if (!snapshot) throw notFound(name ?? "")
  return snapshot
}

function forgetExpired(store: Store): void {
  for (const { resource } of store.snapshots.values()) {
    if (millisecondsOf(resource.expireTime ?? {}) <= store.clock.now()) store.snapshots.delete(resource.name)
  }
}

function seekToSnapshot(subscription: Subscription, { resource, messages }: Snapshot): void {
  if (resource.topic !== subscription.resource.topic) {
    throw failedPrecondition("The snapshot is of a subscription of another topic.")
  }
  const wanted = new Set(messages.map(({ messageId }) => messageId))
  replaceBacklog(subscription, (message) => wanted.has(message.messageId), messages)
}

/** What was published before the time counts as acknowledged, and what is kept of later ones as not. */
function seekToTime(subscription: Subscription, ms: number): void {
  replaceBacklog(subscription, ({ publishedAt }) => publishedAt >= ms, [])
}

function replaceBacklog(
  subscription: Subscription,
  isUnacknowledged: (message: PublishedMessage) => boolean,
  more: PublishedMessage[],
): void {
  const { topic, backlog, acknowledged, filter } = subscription
  const known = [...(topic?.retained ?? []), ...acknowledged, ...backlog.unacknowledged(), ...more]
  const all = [...new Map(known.map((message) => [message.messageId, message])).values()]
    .filter((message) => !filter || matchesFilter(filter, message.attributes))
    .toSorted((a, b) => Number(a.messageId) - Number(b.messageId))
  subscription.acknowledged = subscription.resource.retainAckedMessages
    ? all.filter((message) => !isUnacknowledged(message))
    : []
  backlog.replace(all.filter(isUnacknowledged))
}
