import { PubSub } from "@google-cloud/pubsub"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { type PubSubServer, startPubSub } from "../../services/emulators/pubsub/server.ts"
import { applyTopology, type Change } from "../../services/provision/apply-topology.ts"
import { describeTopology, type TopologyOptions } from "../../services/provision/topology.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"

const urls = { plannerUrl: "http://127.0.0.1:1001", finalizerUrl: "http://127.0.0.1:1002" }

let server: PubSubServer
let client: PubSub
let projects = 0
let settings: { GOOGLE_CLOUD_PROJECT: string; PUBSUB_EMULATOR_HOST: string }

beforeAll(async () => {
  server = await startPubSub()
})

beforeEach(() => {
  settings = { GOOGLE_CLOUD_PROJECT: `project-${++projects}`, PUBSUB_EMULATOR_HOST: `127.0.0.1:${server.port}` }
  client = openPubSub(settings)
})

afterAll(async () => {
  await server.stop()
})

test("an empty project gets every schema, topic and subscription", async () => {
  const changes = await applyTopology(settings, describeTopology(urls))
  expect(changes.every((change) => change.action === "create")).toBe(true)
  expect(namesOf(changes, "topic")).toEqual([
    "audit-requests",
    "backfill-requests",
    "cancel-requests",
    "day-changes",
    "dead-letters",
    "pause-requests",
    "release-requests",
    "rerun-requests",
    "run-requests",
    "run-starts",
    "run-verdicts",
    "shard-reports",
    "work-items",
  ])
  expect(namesOf(changes, "schema")).toEqual(namesOf(changes, "topic").filter((name) => name !== "dead-letters"))
  const push = await metadataOf("finalizer-shard-reports")
  expect(push).toMatchObject({
    topic: `projects/${settings.GOOGLE_CLOUD_PROJECT}/topics/shard-reports`,
    ackDeadlineSeconds: 600,
    pushConfig: { pushEndpoint: "http://127.0.0.1:1002/shard-reports" },
    retryPolicy: { minimumBackoff: { seconds: "10" }, maximumBackoff: { seconds: "600" } },
    deadLetterPolicy: { maxDeliveryAttempts: 10 },
    labels: { app: "daybook" },
  })
  expect(push.expirationPolicy?.ttl ?? null).toBeNull()
  expect((await metadataOf("planner-run-requests")).pushConfig?.pushEndpoint).toBe("http://127.0.0.1:1001/run-requests")
})

test("applied again, nothing changes", async () => {
  const topology = describeTopology({ ...urls, pushServiceAccount: "push@p.iam.gserviceaccount.com" })
  await applyTopology(settings, topology)
  expect(await applyTopology(settings, topology)).toEqual([])
})

test("the contract of a topic refuses a message that does not fit", async () => {
  await applyTopology(settings, describeTopology(urls))
  const topic = client.topic("run-requests", { batching: { maxMessages: 1 } })
  await topic.publishMessage({ json: { date: "2026-11-22" } })
  await expect(topic.publishMessage({ json: { day: "2026-11-22" } })).rejects.toMatchObject({ code: 3 })
})

test("dead letters are kept by a subscription of their own", async () => {
  await applyTopology(settings, describeTopology(urls))
  await client.topic("dead-letters").publishMessage({ data: Buffer.from("anything, not only JSON") })
  const subscription = `projects/${settings.GOOGLE_CLOUD_PROJECT}/subscriptions/dead-letters`
  expect(server.backlog(subscription).undelivered).toBe(1)
})

test.each<[string, Partial<TopologyOptions>, string[]]>([
  ["a service that moved", { plannerUrl: "https://planner.example" }, ["push_config"]],
  ["another retry policy", { retry: { minSeconds: 0.2, maxSeconds: 5 } }, ["retry_policy"]],
  ["fewer attempts", { deliveryAttemptsMax: 5 }, ["dead_letter_policy"]],
  ["pushes with an identity", { pushServiceAccount: "push@p.iam.gserviceaccount.com" }, ["push_config"]],
])("%s updates only what differs", async (_what, options, fields) => {
  await applyTopology(settings, describeTopology(urls))
  const topology = describeTopology({ ...urls, ...options })
  const announced = await applyTopology(settings, topology, { dryRun: true })
  const changes = await applyTopology(settings, topology)
  expect(announced).toEqual(changes)
  expect(changes.length).toBeGreaterThan(0)
  for (const change of changes) expect(change).toMatchObject({ action: "update", kind: "subscription", fields })
  expect(await applyTopology(settings, topology)).toEqual([])
})

test("a label or a retention that somebody has changed is put back, and labels of others stay", async () => {
  await applyTopology(settings, describeTopology(urls))
  const topic = client.topic("run-verdicts")
  const subscription = client.subscription("dead-letters")
  await topic.setMetadata({ labels: { app: "other", team: "shop" }, messageRetentionDuration: { seconds: 600 } })
  await subscription.setMetadata({ labels: { team: "shop" } })
  await client.topic("work-items").setMetadata({ messageRetentionDuration: { seconds: 600 } })
  const changes = await applyTopology(settings, describeTopology(urls))
  expect(changes.map(({ name, fields }) => [name, ...fields])).toEqual([
    ["work-items", "message_retention_duration"],
    ["run-verdicts", "labels", "message_retention_duration"],
    ["dead-letters", "labels"],
  ])
  const labels = { app: "daybook", team: "shop" }
  const [verdicts] = await topic.getMetadata()
  expect(verdicts).toMatchObject({ labels, messageRetentionDuration: { seconds: String(7 * 24 * 3600) } })
  expect((await metadataOf("dead-letters")).labels).toEqual(labels)
  expect((await client.topic("work-items").getMetadata())[0].messageRetentionDuration).toBeNull()
  expect(await applyTopology(settings, describeTopology(urls))).toEqual([])
})

test("a fraction of a second as backoff arrives as such", async () => {
  await applyTopology(settings, describeTopology({ ...urls, retry: { minSeconds: 0.2, maxSeconds: 5 } }))
  expect((await metadataOf("planner-run-requests")).retryPolicy).toMatchObject({
    minimumBackoff: { nanos: 200_000_000 },
    maximumBackoff: { seconds: "5" },
  })
})

test("a contract that has grown a field becomes the schema's next revision, and messages may use it", async () => {
  const topology = describeTopology(urls)
  await applyTopology(settings, topology)
  const grown = structuredClone(topology)
  const schema = grown.schemas.find(({ name }) => name === "run-requests")
  if (!schema) throw new Error("no such schema")
  schema.definition = schema.definition.replace("string date = 1;", "string date = 1;\n  string reason = 2;")
  const revision = { action: "update", kind: "schema", name: "run-requests", fields: ["definition"] }
  expect(await applyTopology(settings, grown)).toEqual([revision])
  await client.topic("run-requests").publishMessage({ json: { date: "2026-11-22", reason: "because" } })
  expect(await applyTopology(settings, grown)).toEqual([])
})

test("several at once end in the same topology", async () => {
  const topology = describeTopology(urls)
  const changes = await Promise.all(Array.from({ length: 4 }, () => applyTopology(settings, topology)))
  const created = changes.flat().map(({ kind, name }) => `${kind} ${name}`)
  expect(new Set(created).size).toBe(created.length)
  expect(await applyTopology(settings, topology)).toEqual([])
})

test("a dry run on an empty project says everything and creates nothing", async () => {
  const topology = describeTopology(urls)
  const announced = await applyTopology(settings, topology, { dryRun: true })
  expect((await client.getTopics())[0]).toEqual([])
  expect(await applyTopology(settings, topology)).toEqual(announced)
})

test("a subscription on another topic is refused, not replaced with what is left in it", async () => {
  await client.createTopic("elsewhere")
  await client.topic("elsewhere").createSubscription("planner-run-requests")
  await expect(applyTopology(settings, describeTopology(urls))).rejects.toThrow("belongs to the topic")
})

function namesOf(changes: Change[], kind: Change["kind"]): string[] {
  return changes.flatMap((change) => (change.kind === kind ? [change.name] : [])).toSorted()
}

async function metadataOf(subscription: string) {
  return (await client.subscription(subscription).getMetadata())[0]
}
