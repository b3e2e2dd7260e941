import type { protos } from "@google-cloud/pubsub"
import type { ServiceMethods } from "../service-methods.ts"
import { readFieldMask } from "./field-mask.ts"
import { alreadyExists, checkName, checkProject, notFound } from "./names.ts"
import { pageOf } from "./pages.ts"
import { publish } from "./publish.ts"
import { checkLabels, unimplemented } from "./refusals.ts"
import { DELETED_TOPIC, type Store, type Topic, topicSnapshots } from "./store.ts"
import { checkRetention } from "./subscription-settings.ts"
import { detachSubscription, findSubscription } from "./subscriptions.ts"
import { checkSchemaSettings } from "./topic-schema.ts"

type ITopic = protos.google.pubsub.v1.ITopic

const MUTABLE_FIELDS = ["labels", "messageRetentionDuration", "schemaSettings"] as const
const NOT_DONE_FIELDS = ["kmsKeyName", "ingestionDataSourceSettings", "messageStoragePolicy"] as const

export function publisherService(store: Store): ServiceMethods {
  return {
    name: "google.pubsub.v1.Publisher",
    unary: {
      CreateTopic: (request: ITopic) => createTopic(store, request),
      UpdateTopic: (request: protos.google.pubsub.v1.IUpdateTopicRequest) => updateTopic(store, request),
      GetTopic: (request: protos.google.pubsub.v1.IGetTopicRequest) => findTopic(store, request.topic).resource,
      ListTopics: (request: protos.google.pubsub.v1.IListTopicsRequest) => listTopics(store, request),
      ListTopicSubscriptions: (request: protos.google.pubsub.v1.IListTopicSubscriptionsRequest) => {
        const names = [...findTopic(store, request.topic).subscriptions].map(({ resource }) => resource.name)
        const { page, nextPageToken } = pageOf(names, (name) => name, request)
        return { subscriptions: page, nextPageToken }
      },
      ListTopicSnapshots: (request: protos.google.pubsub.v1.IListTopicSnapshotsRequest) => {
        const names = topicSnapshots(store, findTopic(store, request.topic).resource.name).map(
          ({ resource }) => resource.name,
        )
        const { page, nextPageToken } = pageOf(names, (name) => name, request)
        return { snapshots: page, nextPageToken }
      },
      DetachSubscription: (request: protos.google.pubsub.v1.IDetachSubscriptionRequest) => {
        detachSubscription(findSubscription(store, request.subscription))
        return {}
      },
      DeleteTopic: (request: protos.google.pubsub.v1.IDeleteTopicRequest) => deleteTopic(store, request.topic),
      Publish: (request: protos.google.pubsub.v1.IPublishRequest, call) => publish(store, request, call),
    },
  }
}

function findTopic(store: Store, name: string | null | undefined): Topic {
  const topic = store.topics.get(checkName("topics", name))
  if (!topic) throw notFound(name ?? "")
  return topic
}

function createTopic(store: Store, request: ITopic): ITopic {
  const name = checkName("topics", request.name)
  if (store.topics.has(name)) throw alreadyExists(name)
  checkTopic(store, request)
  const resource = { ...request, name, state: "ACTIVE" as const }
  store.topics.set(name, { resource, subscriptions: new Set(), published: [], retained: [] })
  return resource
}

function updateTopic(store: Store, request: protos.google.pubsub.v1.IUpdateTopicRequest): ITopic {
  const topic = findTopic(store, request.topic?.name)
  const fields = readFieldMask(request.updateMask, MUTABLE_FIELDS)
  const changed = { ...topic.resource }
  for (const field of fields) Object.assign(changed, { [field]: request.topic?.[field] })
  checkTopic(store, changed)
  topic.resource = changed
  return changed
}

function checkTopic(store: Store, topic: ITopic): void {
  for (const field of NOT_DONE_FIELDS) if (topic[field]) throw unimplemented(`The topic's ${field}`)
  if (topic.messageTransforms?.length) throw unimplemented("The topic's messageTransforms")
  checkLabels(topic.labels)
  if (topic.messageRetentionDuration) checkRetention(topic.messageRetentionDuration)
  if (topic.schemaSettings) checkSchemaSettings(store, topic.schemaSettings)
}

function listTopics(store: Store, request: protos.google.pubsub.v1.IListTopicsRequest) {
  const project = `${checkProject(request.project)}/`
  const topics = [...store.topics.values()].map(({ resource }) => resource)
  const ours = topics.filter(({ name }) => name.startsWith(project))
  const { page, nextPageToken } = pageOf(ours, ({ name }) => name, request)
  return { topics: page, nextPageToken }
}

/** Its subscriptions keep what they have, and get no more, even from a new topic of the same name. */
function deleteTopic(store: Store, name: string | null | undefined): object {
  const topic = findTopic(store, name)
  store.topics.delete(topic.resource.name)
  store.policies.delete(topic.resource.name)
  for (const subscription of topic.subscriptions) {
    subscription.topic = undefined
    subscription.resource = { ...subscription.resource, topic: DELETED_TOPIC }
  }
  for (const { resource } of topicSnapshots(store, topic.resource.name)) resource.topic = DELETED_TOPIC
  return {}
}
