import { type protos, v1 } from "@google-cloud/pubsub"
import { PermanentError } from "../../shared/errors.ts"
import { type GrpcStatus, hasStatus } from "../../shared/google/grpc-status.ts"
import { openPubSub, type PubSubSettings } from "../../shared/google/open-pubsub.ts"
import type { SchemaSpec, SubscriptionSpec, TopicSpec, Topology } from "./topology.ts"

/** The part of a subscription that the topology determines. */
type Subscription = Pick<
  protos.google.pubsub.v1.ISubscription,
  | "name"
  | "topic"
  | "ackDeadlineSeconds"
  | "messageRetentionDuration"
  | "labels"
  | "expirationPolicy"
  | "pushConfig"
  | "retryPolicy"
  | "deadLetterPolicy"
>
type Labels = Subscription["labels"]
type Duration = protos.google.protobuf.IDuration

/** What was done, or would be. */
export interface Change {
  action: "create" | "update"
  kind: "schema" | "topic" | "subscription"
  name: string
  /** What differed, where something is updated. */
  fields: string[]
}

export interface ApplyOptions {
  /** Only says what would change. */
  dryRun?: boolean
}

/**
 * Creates what is not there and updates what differs; what is not in the topology is left alone. May be repeated, and
 * may run several times at once. Google publishes dead letters in the name of its own service account, which needs
 * the roles for it: https://cloud.google.com/pubsub/docs/handling-failures#grant_forwarding_permissions
 */
export async function applyTopology(
  settings: PubSubSettings,
  topology: Topology,
  options: ApplyOptions = {},
): Promise<Change[]> {
  const clients = await openClients(settings)
  const target = { ...clients, project: `projects/${settings.GOOGLE_CLOUD_PROJECT}`, dryRun: options.dryRun ?? false }
  try {
    // A topic needs its schema, a subscription its topics.
    return [
      ...(await Promise.all(topology.schemas.map((schema) => applySchema(target, schema)))),
      ...(await Promise.all(topology.topics.map((topic) => applyTopic(target, topic)))),
      ...(await Promise.all(topology.subscriptions.map((subscription) => applySubscription(target, subscription)))),
    ].filter((change) => change !== undefined)
  } finally {
    await Promise.all([clients.publisher.close(), clients.subscriber.close(), clients.schemas.close()])
  }
}

async function openClients(settings: PubSubSettings) {
  // Undefined options are options left out, which the declarations of one package say and of the other do not.
  const config = (await openPubSub(settings).getClientConfig()) as ConstructorParameters<typeof v1.PublisherClient>[0]
  return {
    publisher: new v1.PublisherClient(config),
    subscriber: new v1.SubscriberClient(config),
    schemas: new v1.SchemaServiceClient(config),
  }
}

interface Target extends Awaited<ReturnType<typeof openClients>> {
  /** `projects/PROJECT` */
  project: string
  dryRun: boolean
}

async function applySchema(target: Target, spec: SchemaSpec): Promise<Change | undefined> {
  const name = `${target.project}/schemas/${spec.name}`
  const schema = { name, type: "PROTOCOL_BUFFER" as const, definition: spec.definition }
  return apply(
    target,
    { kind: "schema", name: spec.name },
    {
      find: async () => (await target.schemas.getSchema({ name, view: "FULL" }))[0],
      create: () => target.schemas.createSchema({ parent: target.project, schemaId: spec.name, schema }),
      compare: (found) => (found.definition?.trim() === spec.definition.trim() ? [] : ["definition"]),
      // A revision more: topics accept what fits any of them until the old ones are deleted.
      update: () => target.schemas.commitSchema({ name, schema }),
    },
  )
}

async function applyTopic(target: Target, spec: TopicSpec): Promise<Change | undefined> {
  const name = `${target.project}/topics/${spec.name}`
  const schemaSettings = spec.schema
    ? { schema: `${target.project}/schemas/${spec.schema}`, encoding: "JSON" as const }
    : undefined
  const topic = {
    name,
    labels: spec.labels,
    ...(schemaSettings ? { schemaSettings } : {}),
    ...(spec.retentionSeconds ? { messageRetentionDuration: toDuration(spec.retentionSeconds) } : {}),
  }
  return apply(
    target,
    { kind: "topic", name: spec.name },
    {
      find: async () => (await target.publisher.getTopic({ topic: name }))[0],
      create: () => target.publisher.createTopic(topic),
      compare: (found) => {
        const checked = found.schemaSettings
        const isChecked = checked?.schema === schemaSettings?.schema && checked?.encoding === schemaSettings?.encoding
        const retentionSeconds = secondsOf(found.messageRetentionDuration)
        return [
          ...(hasLabels(found, spec.labels) ? [] : ["labels"]),
          ...(!schemaSettings || isChecked ? [] : ["schema_settings"]),
          ...(retentionSeconds === (spec.retentionSeconds ?? 0) ? [] : ["message_retention_duration"]),
        ]
      },
      update: (fields, found) =>
        target.publisher.updateTopic({
          topic: { ...topic, labels: { ...found.labels, ...spec.labels } },
          updateMask: { paths: fields },
        }),
    },
  )
}

async function applySubscription(target: Target, spec: SubscriptionSpec): Promise<Change | undefined> {
  const subscription = toSubscription(target.project, spec)
  return apply(
    target,
    { kind: "subscription", name: spec.name },
    {
      find: async () => (await target.subscriber.getSubscription({ subscription: subscription.name ?? "" }))[0],
      create: () => target.subscriber.createSubscription(subscription),
      compare: (found) => compareSubscription(found, subscription),
      update: (fields, found) =>
        target.subscriber.updateSubscription({
          subscription: { ...subscription, labels: { ...found.labels, ...spec.labels } },
          updateMask: { paths: fields },
        }),
    },
  )
}

interface Resource<Found> {
  find: () => Promise<Found>
  create: () => Promise<unknown>
  /** The paths of the fields that differ from what is wanted, as an update mask has them. */
  compare: (found: Found) => string[]
  update: (fields: string[], found: Found) => Promise<unknown>
}

async function apply<Found>(
  target: Target,
  about: Pick<Change, "kind" | "name">,
  resource: Resource<Found>,
): Promise<Change | undefined> {
  let found = await unless("notFound", resource.find)
  if (found === undefined) {
    if (target.dryRun || (await unless("alreadyExists", resource.create)) !== undefined) {
      return { action: "create", ...about, fields: [] }
    }
    // Somebody else has created it in between, perhaps as it should be.
    found = await resource.find()
  }
  const fields = resource.compare(found)
  if (fields.length === 0) return undefined
  if (!target.dryRun) await resource.update(fields, found)
  return { action: "update", ...about, fields }
}

async function unless<T>(status: GrpcStatus, call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    if (hasStatus(error, status)) return undefined
    throw error
  }
}

function toSubscription(project: string, spec: SubscriptionSpec): Subscription {
  const { push, retry, deadLetters } = spec
  return {
    name: `${project}/subscriptions/${spec.name}`,
    topic: `${project}/topics/${spec.topic}`,
    ackDeadlineSeconds: spec.ackDeadlineSeconds,
    messageRetentionDuration: toDuration(spec.retentionSeconds),
    labels: spec.labels,
    // Without a time to live it never expires, however long nobody runs a day.
    expirationPolicy: {},
    pushConfig: push ? { pushEndpoint: push.endpoint, ...(push.identity ? { oidcToken: push.identity } : {}) } : {},
    ...(retry
      ? { retryPolicy: { minimumBackoff: toDuration(retry.minSeconds), maximumBackoff: toDuration(retry.maxSeconds) } }
      : {}),
    ...(deadLetters
      ? {
          deadLetterPolicy: {
            deadLetterTopic: `${project}/topics/${deadLetters.topic}`,
            maxDeliveryAttempts: deadLetters.attemptsMax,
          },
        }
      : {}),
  }
}

function compareSubscription(found: Subscription, wanted: Subscription): string[] {
  if (found.topic !== wanted.topic) {
    throw new PermanentError(
      `the subscription ${wanted.name} belongs to the topic ${found.topic}, not ${wanted.topic}, and that cannot be ` +
        "changed: see to what is left in it, delete it, and try again",
    )
  }
  // Only what is wanted is compared: Google adds attributes of its own.
  const essence = ({ pushConfig, retryPolicy, deadLetterPolicy, expirationPolicy, ...rest }: Subscription) => ({
    ack_deadline_seconds: rest.ackDeadlineSeconds,
    message_retention_duration: secondsOf(rest.messageRetentionDuration),
    expiration_policy: secondsOf(expirationPolicy?.ttl),
    push_config: [
      pushConfig?.pushEndpoint ?? "",
      pushConfig?.oidcToken?.serviceAccountEmail ?? "",
      pushConfig?.oidcToken?.audience ?? "",
    ].join(" "),
    retry_policy: `${secondsOf(retryPolicy?.minimumBackoff)} ${secondsOf(retryPolicy?.maximumBackoff)}`,
    dead_letter_policy: `${deadLetterPolicy?.deadLetterTopic ?? ""} ${deadLetterPolicy?.maxDeliveryAttempts ?? 0}`,
  })
  const foundEssence: Record<string, unknown> = essence(found)
  const differing = Object.entries(essence(wanted))
    .filter(([field, value]) => foundEssence[field] !== value)
    .map(([field]) => field)
  return hasLabels(found, wanted.labels) ? differing : ["labels", ...differing]
}

/** Others may have put labels of their own beside ours; these stay. */
function hasLabels(found: { labels?: Labels }, wanted: Labels): boolean {
  return Object.entries(wanted ?? {}).every(([name, value]) => found.labels?.[name] === value)
}

function toDuration(seconds: number): Duration {
  const whole = Math.floor(seconds)
  return { seconds: whole, nanos: Math.round((seconds - whole) * 1e9) }
}

/** Undefined and zero are the same to Pub/Sub. */
function secondsOf(duration: Duration | null | undefined): number {
  return Number(duration?.seconds ?? 0) + (duration?.nanos ?? 0) / 1e9
}
