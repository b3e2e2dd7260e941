// Pub/Sub v1 on one machine, over gRPC and as JSON over HTTP: topics, subscriptions, publish, pull, streaming pull, push,
// snapshots and seek, schemas.
//
// Where it differs from Google:
// - Everything is in memory, and with a state file there again after a restart. No authentication, no permissions, no quotas of rate.
// - Expiration is stored and given back. Messages that a retention keeps for a seek go when they are too old; one that
//   nobody acknowledges stays for ever.
// - When a message of an ordering key is redelivered, those after it that are outstanding come again after it; those that
//   were acknowledged meanwhile do not.
// - A message is deliverable 2 ms after its publish was answered: a pull that returns immediately may miss it till then.
// - An acknowledgement that comes after the deadline is ignored, where Google may still honour it.
// - A message is redelivered when its backoff is over; Google's times are best effort.
// - Push: http endpoints are allowed. No slow start, a fixed number of requests at a time. Without a retry policy a
//   failing endpoint is held back from 100 ms, doubling up to 60 s.
// - Streams are not closed every half hour. Nested paths in field masks are refused.
// - Schemas: a new revision need not be compatible with the last; BINARY checks unknown fields of protocol buffers at the top level only.
// - Exactly-once delivery is for streams and pulls of this one server, which has no regions.
// - UNIMPLEMENTED: unwrapped push, BigQuery, Cloud Storage and Bigtable subscriptions, ingestion, message transforms,
//   storage policies, customer-managed keys, IAM.

import type { protos } from "@google-cloud/pubsub"
import { status } from "@grpc/grpc-js"
import { type Clock, systemClock } from "../clock.ts"
import { Faults } from "../faults.ts"
import { startGrpcServer } from "../grpc-server.ts"
import type { PushClaims } from "../push-token.ts"
import type { ServiceMethods, UnaryMethods } from "../service-methods.ts"
import { StatusError } from "../status-error.ts"
import type { PublishedMessage } from "./messages.ts"
import { notFound } from "./names.ts"
import { pullMethods } from "./pull.ts"
import { schemaService } from "./schemas.ts"
import { snapshotMethods } from "./snapshots.ts"
import { openStateFile, restoreState } from "./state-file.ts"
import type { Log, Store } from "./store.ts"
import { serveStreamingPull } from "./streaming-pull.ts"
import { closeSubscription, subscriptionMethods } from "./subscriptions.ts"
import { publisherService } from "./topics.ts"

export interface PubSubOptions {
  /** 0, the default, picks a free port. */
  port?: number
  /** Where topics, subscriptions, messages and schemas are kept over a restart; nowhere by default. */
  stateFile?: string | undefined
  /** The address to listen on; by default this machine alone can reach it. */
  host?: string | undefined
  clock?: Clock
  faults?: Faults
  /** Makes the OpenID Connect token of a push whose subscription asks for one; without it none is sent. */
  pushTokens?: (push: PushClaims) => string | Promise<string>
  log?: Log
}

export interface PubSubServer {
  port: number
  faults: Faults
  /** What has been published to a topic (by full name), oldest first; of a long history the newest 10,000 at least. */
  messages(topic: string): readonly PublishedMessage[]
  /** How many messages a subscription (by full name) has yet to deliver, and how many await their acknowledgement. */
  backlog(subscription: string): { undelivered: number; outstanding: number }
  subscriptions(): protos.google.pubsub.v1.ISubscription[]
  stop(): Promise<void>
}

export async function startPubSub(options: PubSubOptions = {}): Promise<PubSubServer> {
  const clock = options.clock ?? systemClock
  const store: Store = {
    clock,
    faults: options.faults ?? new Faults(),
    log: options.log ?? (() => undefined),
    pushTokens: options.pushTokens,
    topics: new Map(),
    subscriptions: new Map(),
    schemas: new Map(),
    snapshots: new Map(),
    // What outlives this server, such as a database, may remember ids of an earlier one: they must not come again.
    lastMessageId: Math.floor(clock.now()) * 1000,
    touch: () => undefined,
  }
  const { stateFile } = options
  if (stateFile !== undefined) restoreState(store, stateFile)
  const state = stateFile === undefined ? undefined : openStateFile(store, stateFile)
  if (state) store.touch = state.touch
  const { port, stop } = await startGrpcServer({
    server: "pubsub",
    descriptors: "@google-cloud/pubsub-api/build/protos/protos.json",
    services: [
      touching(store, publisherService(store)),
      touching(store, {
        name: "google.pubsub.v1.Subscriber",
        unary: { ...subscriptionMethods(store), ...pullMethods(store), ...snapshotMethods(store) },
        streams: { StreamingPull: (stream) => serveStreamingPull(store, stream) },
      }),
      touching(store, schemaService(store)),
    ],
    faults: store.faults,
    port: options.port ?? 0,
    host: options.host,
  })
  return {
    port,
    faults: store.faults,
    messages: (topic) => demand(store.topics, topic).published,
    backlog: (subscription) => demand(store.subscriptions, subscription).backlog.counts(),
    subscriptions: () => [...store.subscriptions.values()].map(({ resource }) => resource),
    async stop() {
      state?.close()
      store.touch = () => undefined
      const reason = new StatusError(status.UNAVAILABLE, "The local Pub/Sub is stopping.")
      for (const subscription of store.subscriptions.values()) closeSubscription(subscription, reason)
      await stop()
    },
  }
}

/** What is not a question may have changed something. */
function touching(store: Store, service: ServiceMethods): ServiceMethods {
  const methods = Object.entries(service.unary).map(([name, serve]): [string, UnaryMethods[string]] => [
    name,
    /^(Get|List|Pull|Validate)/.test(name)
      ? serve
      : async (request, call) => {
          const answer: unknown = await serve(request, call)
          store.touch()
          return answer
        },
  ])
  return { ...service, unary: Object.fromEntries(methods) }
}

function demand<T>(all: Map<string, T>, name: string): T {
  const found = all.get(name)
  if (!found) throw notFound(name)
  return found
}
