import type { protos } from "@google-cloud/pubsub"
import type { Clock } from "../clock.ts"
import type { Faults } from "../faults.ts"
import type { Policy } from "../iam-policies.ts"
import type { PushClaims } from "../push-token.ts"
import type { Backlog } from "./backlog.ts"
import type { Filter } from "./filter.ts"
import type { PublishedMessage } from "./messages.ts"
import type { Schema } from "./schema-store.ts"

/** What posts the messages of a push subscription. */
export interface Push {
  config: protos.google.pubsub.v1.IPushConfig
  /** Begins no more pushes; those under way still count by their answer. */
  retire(): void
  /** Ends those under way too. */
  stop(): void
}

/** One line of the server's log: a constant message, and fields. */
export type Log = (message: string, fields: Record<string, unknown>) => void

export interface Topic {
  resource: protos.google.pubsub.v1.ITopic & { name: string }
  subscriptions: Set<Subscription>
  /** The newest messages, oldest first, for tests and people to look at. */
  published: PublishedMessage[]
  /** Those that its retention keeps for a seek, oldest first. */
  retained: PublishedMessage[]
}

export interface Subscription {
  resource: protos.google.pubsub.v1.ISubscription & { name: string; topic: string }
  /** Set until the topic is deleted. */
  topic: Topic | undefined
  filter: Filter | undefined
  backlog: Backlog
  /** Those that it has acknowledged and keeps for a seek, if it does. */
  acknowledged: PublishedMessage[]
  /** Runs while the subscription has a push endpoint. */
  push: Push | undefined
  /** Calls that wait for messages; each is called when the subscription is deleted or becomes a push subscription. */
  waiting: Set<(reason: Error) => void>
}

/** What was not acknowledged when it was made, and all that was published since. */
export interface Snapshot {
  resource: protos.google.pubsub.v1.ISnapshot & { name: string; topic: string }
  messages: PublishedMessage[]
}

/** All that the server knows. It lives in memory and ends with the process. */
export interface Store {
  clock: Clock
  faults: Faults
  log: Log
  pushTokens: (push: PushClaims) => string | Promise<string>
  topics: Map<string, Topic>
  subscriptions: Map<string, Subscription>
  schemas: Map<string, Schema>
  snapshots: Map<string, Snapshot>
  /** IAM policies that somebody has set, by the name of what they are of. */
  policies: Map<string, Policy>
  lastMessageId: number
  /** Something has changed that a restart should find. */
  touch: () => void
}

/** What a subscription's `topic` says once the topic is gone. */
export const DELETED_TOPIC = "_deleted-topic_"

/** The snapshots of a topic, which have what is published later too. */
export function topicSnapshots(store: Store, topic: string): Snapshot[] {
  return [...store.snapshots.values()].filter(({ resource }) => resource.topic === topic)
}
