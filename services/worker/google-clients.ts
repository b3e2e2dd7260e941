import { type Topic, v1 } from "@google-cloud/pubsub"
import type { Bucket } from "@google-cloud/storage"
import { openBucket, type StorageSettings } from "../../shared/google/open-bucket.ts"
import { openPubSub, type PubSubSettings } from "../../shared/google/open-pubsub.ts"
import { topics } from "../../shared/messages/topics.ts"

/** What a task needs of Google once its first shard is at the database. */
export interface GoogleClients {
  projectId: string
  bucket: Bucket
  reports: Topic
  subscriber: v1.SubscriberClient
}

// What is sent in one turn of the event loop goes in one call, and nothing waits for more.
const REPORTS_TOGETHER = { maxMessages: 100, maxMilliseconds: 0 }

type ClientOptions = NonNullable<ConstructorParameters<typeof v1.SubscriberClient>[0]>

export async function openGoogleClients(settings: PubSubSettings & StorageSettings): Promise<GoogleClients> {
  const pubsub = openPubSub(settings)
  return {
    projectId: pubsub.projectId,
    bucket: openBucket(settings),
    reports: pubsub.topic(topics.shardReports, { batching: REPORTS_TOGETHER }),
    subscriber: new v1.SubscriberClient((await pubsub.getClientConfig()) as ClientOptions),
  }
}

/** Loads all that calls of the clients need. */
export async function warmUp(): Promise<void> {
  const nowhere = { PUBSUB_EMULATOR_HOST: "127.0.0.1:9", STORAGE_EMULATOR_HOST: "http://127.0.0.1:9" }
  const { subscriber, reports } = await openGoogleClients({ ...nowhere, GOOGLE_CLOUD_PROJECT: "none", BUCKET: "none" })
  const publisher = new v1.PublisherClient((await reports.pubsub.getClientConfig()) as ClientOptions)
  await Promise.all([subscriber.initialize(), publisher.initialize()])
}
