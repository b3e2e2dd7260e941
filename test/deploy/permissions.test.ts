import { randomBytes } from "node:crypto"
import { readFile } from "node:fs/promises"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import type { Call } from "../../services/emulators/faults.ts"
import { createProcessFinder } from "../faults/find-process.ts"
import { type PushRelay, startPushRelay } from "../faults/push-relay.ts"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"
import { startReceiver, type TestReceiver } from "../fixtures/start-receiver.ts"

/*
 * Every call that a service makes to Google is allowed by a line of roles.txt. The calls are those that the services made in
 * a run here; which permission each needs, and which a role has, is from Google's references:
 * https://cloud.google.com/iam/docs/roles-permissions and the pages of each API.
 */

/** By server and method. An object that is written over another is deleted, too. */
const permissionsOf: Record<string, string[]> = {
  "pubsub Publish": ["pubsub.topics.publish"],
  "pubsub CreateSubscription": ["pubsub.subscriptions.create", "pubsub.topics.attachSubscription"],
  "pubsub DeleteSubscription": ["pubsub.subscriptions.delete"],
  "pubsub Pull": ["pubsub.subscriptions.consume"],
  "pubsub StreamingPull": ["pubsub.subscriptions.consume"],
  "pubsub Acknowledge": ["pubsub.subscriptions.consume"],
  "pubsub ModifyAckDeadline": ["pubsub.subscriptions.consume"],
  "storage storage.objects.get": ["storage.objects.get"],
  "storage storage.objects.list": ["storage.objects.list"],
  "storage storage.objects.insert": ["storage.objects.create"],
  "storage storage.objects.insert over another": ["storage.objects.create", "storage.objects.delete"],
  "run RunJob": ["run.jobs.run", "run.jobs.runWithOverrides"],
  "run GetJob": ["run.jobs.get"],
  "run GetExecution": ["run.executions.get"],
  "run CancelExecution": ["run.executions.cancel"],
}

const rolesHave: Record<string, string[]> = {
  "roles/pubsub.publisher": ["pubsub.topics.publish"],
  "roles/pubsub.subscriber": [
    "pubsub.subscriptions.consume",
    "pubsub.topics.attachSubscription",
    "pubsub.snapshots.seek",
  ],
  "roles/storage.objectViewer": ["storage.objects.get", "storage.objects.list"],
  "roles/storage.objectCreator": ["storage.objects.create"],
  "roles/storage.objectUser": [
    "storage.objects.create",
    "storage.objects.delete",
    "storage.objects.get",
    "storage.objects.list",
    "storage.objects.update",
  ],
  "roles/run.jobsExecutorWithOverrides": ["run.jobs.run", "run.jobs.runWithOverrides"],
  "roles/run.viewer": [
    "run.jobs.get",
    "run.jobs.list",
    "run.executions.get",
    "run.executions.list",
    "run.tasks.get",
    "run.tasks.list",
  ],
  "custom/daybookSubscriptionCreator": ["pubsub.subscriptions.create"],
  "custom/daybookSubscriptionRemover": ["pubsub.subscriptions.delete"],
  "custom/daybookExecutionCanceller": ["run.executions.cancel"],
}

interface SeenCall {
  part: string
  call: string
  /** As roles.txt names it. */
  on: string
}

let pipeline: Pipeline
let receiver: TestReceiver
let relay: PushRelay
const seen = new Map<string, SeenCall>()
beforeAll(async () => {
  receiver = await startReceiver()
  pipeline = await startPipeline({
    pagePort: 0,
    shardPurchases: 30,
    settings: {
      NOTIFY_URL: receiver.url,
      NOTIFY_SECRETS: `whsec_${randomBytes(32).toString("base64")}`,
      NOTIFY_STATES: "shown,drifted",
    },
  })
  const { cloud } = pipeline
  relay = await startPushRelay(cloud, pipeline.pubsub)
  const find = createProcessFinder()
  const ports = {
    pubsub: cloud.pubsub.port,
    storage: Number(new URL(cloud.storage.url).port),
    run: cloud.runJobs.port,
    database: 0,
  }
  const written = new Set<string>()
  const watch = (call: Call) => {
    if (call.clientPort === undefined) return
    const services = {
      planner: cloud.services.planner.pid,
      finalizer: cloud.services.finalizer.pid,
      desk: cloud.page?.pid,
      notify: cloud.notify?.pid,
    }
    const pids = [
      ...Object.values(services).filter((pid) => pid !== undefined),
      ...cloud.runJobs.tasks().map(({ pid }) => pid),
    ]
    const pid = find({ clientPort: call.clientPort, serverPort: ports[call.server] }, pids)
    if (pid === undefined) return
    const part = Object.entries(services).find(([, known]) => known === pid)?.[0] ?? "worker"
    const isOver = call.method === "storage.objects.insert" && written.has(call.resource)
    if (call.method === "storage.objects.insert") written.add(call.resource)
    const [, topic] = /\/topics\/([^/]+)$/.exec(call.resource) ?? []
    const on =
      call.server === "storage" ? "bucket" : call.server === "run" ? "job:worker" : topic ? `topic:${topic}` : "project"
    const entry = { part, call: `${call.server} ${call.method}${isOver ? " over another" : ""}`, on }
    seen.set(JSON.stringify(entry), entry)
  }
  for (const faults of [cloud.pubsub.faults, cloud.storage.faults, cloud.runJobs.faults])
    faults.add({ matches: () => true, before: watch })
})
afterAll(async () => {
  await relay?.stop()
  await pipeline?.stop()
  await receiver?.stop()
})

test("a run, its rerun, a cancelled one, an audit and its repair, and a person at the desk make only calls that a role allows", async () => {
  await pipeline.query(...purchasesOf(80, 4))
  expect(await pipeline.start()).toMatchObject({ verdict: "complete" })
  // Delivered again after the verdict, as every message may be.
  for (const delivery of relay.deliveries) expect(await relay.redeliver(delivery)).toEqual([204])
  // Drift: found by an audit, and repaired.
  await pipeline.query(...purchasesOf(5, 2))
  await pipeline.publish("audit-requests", { from: date, to: date })
  const isRepaired = async () => (await pipeline.query("SELECT 1 FROM published_days WHERE version = 2")).length > 0
  await pipeline.start()
  await vi.waitFor(async () => expect(await isRepaired()).toBe(true), { timeout: 30_000, interval: 100 })
  // Cancelled while its tasks wait at the bucket.
  const released = Promise.withResolvers<void>()
  const remove = pipeline.cloud.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.includes("/shards/"),
    before: () => released.promise,
  })
  await pipeline.publish("run-requests", { date })
  const isRunning = async () => (await pipeline.query("SELECT 1 FROM runs WHERE state = 'running'")).length > 0
  await vi.waitFor(async () => expect(await isRunning()).toBe(true), { timeout: 30_000, interval: 50 })
  const cancelled = await pipeline.publish("cancel-requests", { date })
  const isCancelled = async () => (await pipeline.query("SELECT 1 FROM runs WHERE state = 'cancelled'")).length > 0
  await vi.waitFor(async () => expect(await isCancelled()).toBe(true), { timeout: 30_000, interval: 50 })
  expect(cancelled).toMatch(/^\d+$/)
  remove()
  released.resolve()
  // At the desk somebody asks for what is not to be, and is told why.
  const url = pipeline.cloud.page?.url ?? ""
  const sent = await fetch(`${url}/do`, {
    method: "POST",
    redirect: "manual",
    headers: { "sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ do: "start", date, form: "f" }).toString(),
  })
  await fetch(`${url}${sent.headers.get("location") ?? ""}`)

  const text = await readFile(new URL("../../services/provision/roles.txt", import.meta.url), "utf8")
  const grants = text
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.split("|").map((cell) => cell.trim()))
  const calls = [...seen.values()]
  // Who notifies has told of all of it, and called nothing of Google's: there is no role for it but to read its secret.
  const told = receiver.received.map(({ body }) => (JSON.parse(body) as { type: string }).type)
  expect(told).toEqual(["daybook.day.shown", "daybook.day.drifted"])
  // All that there are, or nothing is said of those that were not made.
  expect(new Set(calls.map(({ part }) => part))).toEqual(new Set(["planner", "worker", "finalizer", "desk"]))
  const unknown = calls.filter(({ call }) => permissionsOf[call] === undefined)
  expect(unknown).toEqual([])
  const forbidden = calls.flatMap(({ part, call, on }) =>
    (permissionsOf[call] ?? []).flatMap((permission) => {
      // A run's subscription cannot be granted before it is there; attaching is on its topic.
      const where = permission === "pubsub.topics.attachSubscription" ? "topic:work-items" : on
      const isAllowed = grants.some(
        ([target, who, role = ""]) =>
          who === part && (target === where || target === "project") && rolesHave[role]?.includes(permission),
      )
      return isAllowed ? [] : [`${part} needs ${permission} on ${where} for ${call}`]
    }),
  )
  expect(forbidden).toEqual([])
  for (const call of [
    "run RunJob",
    "run CancelExecution",
    "pubsub CreateSubscription",
    "pubsub DeleteSubscription",
    "storage storage.objects.list",
  ]) {
    expect(calls.map((one) => one.call)).toContain(call)
  }
})
