// Pub/Sub v1 on one machine, over gRPC and as JSON over HTTP: topics, subscriptions, publish, pull, streaming pull, push,
// snapshots and seek, schemas.
//
// Where it differs from Google:
// - Everything is in memory, and with a state file there again after a restart: whatever was answered, also when the process
//   was killed, but for acknowledgements of the last tenth of a second, whose messages come again. Nothing is fsynced.
// - No authentication and no quotas of rate. IAM policies are kept and returned; nobody is refused anything for them, and
//   whoever tests permissions has them.
// - A push with an identity carries a token that this server has signed; its key is at the paths of Google's keys,
//   and PUSH_CERTS_URL names the key set.
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
//   storage policies, customer-managed keys.

import type { protos } from "@google-cloud/pubsub"
import { status } from "@grpc/grpc-js"
import { type Clock, systemClock } from "../clock.ts"
import { Faults } from "../faults.ts"
import { startGrpcServer } from "../grpc-server.ts"
import { createPushKey, type PushClaims, type PushKey } from "../push-token.ts"
import type { ServiceMethods, UnaryMethods } from "../service-methods.ts"
import { StatusError } from "../status-error.ts"
import { iamService } from "./iam.ts"
import type { PublishedMessage } from "./messages.ts"
import { notFound } from "./names.ts"
import { pullMethods } from "./pull.ts"
import { schemaService } from "./schemas.ts"
import { snapshotMethods } from "./snapshots.ts"
import { openStateFile, restoreState, type StateFile } from "./state-file.ts"
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
  /** Makes the OpenID Connect token of a push whose subscription asks for one; by default with a key of the server's own. */
  pushTokens?: (push: PushClaims) => string | Promise<string>
  log?: Log
}

export interface PubSubServer {
  port: number
  faults: Faults
  /** Where the key set is that tokens of pushes are signed with; undefined if that is `pushTokens`'s. */
  certsUrl: string | undefined
  /** What has been published to a topic (by full name), oldest first; of a long history the newest 10,000 at least. */
  messages(topic: string): readonly PublishedMessage[]
  /** How many messages a subscription (by full name) has yet to deliver, and how many await their acknowledgement. */
  backlog(subscription: string): { undelivered: number; outstanding: number }
  subscriptions(): protos.google.pubsub.v1.ISubscription[]
  stop(): Promise<void>
}

export async function startPubSub(options: PubSubOptions = {}): Promise<PubSubServer> {
  const clock = createRepeatingClock(options.clock ?? systemClock)
  const key = createPushKey()
  const store: Store = {
    clock,
    faults: options.faults ?? new Faults(),
    log: options.log ?? (() => undefined),
    pushTokens: options.pushTokens ?? key.sign,
    topics: new Map(),
    subscriptions: new Map(),
    schemas: new Map(),
    snapshots: new Map(),
    policies: new Map(),
    // What outlives this server, such as a database, may remember ids of an earlier one: they must not come again.
    lastMessageId: Math.floor(clock.now()) * 1000,
    touch: () => undefined,
  }
  const services: ServiceMethods[] = [
    publisherService(store),
    {
      name: "google.pubsub.v1.Subscriber",
      unary: { ...subscriptionMethods(store), ...pullMethods(store), ...snapshotMethods(store) },
      streams: { StreamingPull: (stream) => serveStreamingPull(store, stream) },
    },
    schemaService(store),
    iamService(store),
  ]
  const state = options.stateFile === undefined ? undefined : openState(store, clock, services, options.stateFile)
  const { port, stop } = await startGrpcServer({
    server: "pubsub",
    descriptors: "@google-cloud/pubsub-api/build/protos/protos.json",
    moreDescriptors: { file: "@google-cloud/run/build/protos/protos.json", packages: ["iam", "type"] },
    services: services.map((service) => keeping(store, state, service)),
    others: async ({ verb, path }) => (verb === "GET" ? showKey(key, path) : undefined),
    faults: store.faults,
    port: options.port ?? 0,
    host: options.host,
  })
  return {
    port,
    faults: store.faults,
    certsUrl: options.pushTokens ? undefined : `http://127.0.0.1:${port}${KEY_SET_PATH}`,
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

// As on www.googleapis.com: a JSON Web Key Set, and the form that Google's libraries read.
const KEY_SET_PATH = "/oauth2/v3/certs"
const CERTS_PATH = "/oauth2/v1/certs"

async function showKey(key: PushKey, path: string): Promise<object | undefined> {
  if (path === KEY_SET_PATH) return key.keySet()
  return path === CERTS_PATH ? key.certs() : undefined
}

interface RepeatingClock extends Clock {
  /** Stands still at a time while a call of then is done again. */
  during(at: number, call: () => void): void
}

function createRepeatingClock(clock: Clock): RepeatingClock {
  let stopped: number | undefined
  return {
    now: () => stopped ?? clock.now(),
    after: (ms, callback) => clock.after(ms, callback),
    during: (at, call) => {
      stopped = at
      try {
        call()
      } finally {
        stopped = undefined
      }
    },
  }
}

/** Does again what the state file and its journal hold, and keeps them from then on. */
function openState(store: Store, clock: RepeatingClock, services: ServiceMethods[], path: string): StateFile {
  const methods: UnaryMethods = Object.assign({}, ...services.map(({ unary }) => unary))
  const answered = { onEnd: (callback: () => void) => callback() }
  const last = restoreState(store, path, ({ method, request, at, lastMessageId }) => {
    // Ids are given again as they were.
    store.lastMessageId = lastMessageId
    clock.during(at, () => methods[method]?.(request, answered))
  })
  store.lastMessageId = Math.max(store.lastMessageId, Math.floor(clock.now()) * 1000)
  const state = openStateFile(store, path, last)
  store.touch = () => state.touch()
  return state
}

/** Keeps a call that has changed something before its answer leaves; deliveries and their ends are kept a moment later. */
function keeping(store: Store, state: StateFile | undefined, service: ServiceMethods): ServiceMethods {
  if (!state) return service
  const methods = Object.entries(service.unary).map(([name, serve]): [string, UnaryMethods[string]] => {
    if (/^(Get|List|Pull|Validate|Test)/.test(name)) return [name, serve]
    return [
      name,
      (request: Record<string, unknown>, call) => {
        const { lastMessageId } = store
        const answer = serve(request, call)
        // What was created without a name has got one.
        const named = name.startsWith("Create") ? { ...request, name: (answer as { name?: string }).name } : request
        // A schema's revisions have random ids, and would get others the next time.
        if (/Schema/.test(name)) state.save()
        else if (!/^(Acknowledge|ModifyAckDeadline)$/.test(name)) state.record(name, named, lastMessageId)
        store.touch()
        return answer
      },
    ]
  })
  return { ...service, unary: Object.fromEntries(methods) }
}

function demand<T>(all: Map<string, T>, name: string): T {
  const found = all.get(name)
  if (!found) throw notFound(name)
  return found
}
