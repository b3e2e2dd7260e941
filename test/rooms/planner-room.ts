import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pino } from "pino"
import { plainShop } from "../../schemas/database/shop.ts"
import { parseJson } from "../../schemas/json.ts"
import { type RunVerdict, RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import { startPubSub } from "../../services/emulators/pubsub/server.ts"
import { startRunJobs } from "../../services/emulators/run-jobs/server.ts"
import { startStorage } from "../../services/emulators/storage/server.ts"
import type { RunContext } from "../../services/planner/run-context.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { openJobs } from "../../shared/google/open-run.ts"
import type { PushMessage } from "../../shared/messages/push-server.ts"
import { topics } from "../../shared/messages/topics.ts"
import { createTestDatabase, shopTables } from "./test-database.ts"

const parent = "projects/local/locations/local"

/** A planner's surroundings: a database with a shop, and the local cloud with a job whose tasks do nothing. */
export async function openPlannerRoom() {
  const folder = await mkdtemp(join(tmpdir(), "daybook-planner-"))
  const database = await createTestDatabase()
  await database.query(...shopTables)
  const pubsubServer = await startPubSub()
  const storage = await startStorage({ folder: join(folder, "bucket") })
  const images = { idle: { command: ["/bin/sh", "-c", "exit 0"] } }
  const runJobs = await startRunJobs({ folder: join(folder, "logs"), images })
  const settings = {
    GOOGLE_CLOUD_PROJECT: "local",
    PUBSUB_EMULATOR_HOST: `127.0.0.1:${pubsubServer.port}`,
    STORAGE_EMULATOR_HOST: storage.url,
    RUN_EMULATOR_HOST: `127.0.0.1:${runJobs.port}`,
    BUCKET: "daybook",
  }
  const pubsub = openPubSub(settings)
  for (const topic of Object.values(topics)) await pubsub.createTopic(topic)
  const bucket = openBucket(settings)
  await bucket.create()
  const jobs = openJobs(settings)
  const [operation] = await jobs.createJob({
    parent,
    jobId: "worker",
    job: { template: { template: { containers: [{ image: "idle" }] } } },
  })
  await operation.promise()

  const context: RunContext = {
    db: database.db,
    shopDb: database.db,
    shop: plainShop,
    pubsub,
    bucket,
    jobs,
    verdicts: pubsub.topic(topics.runVerdicts, { batching: { maxMessages: 1 } }),
    log: pino({ level: "silent" }),
    job: `${parent}/jobs/worker`,
    tasksMax: 4,
    runsMax: 10,
    timeZone: "UTC",
    shardPurchases: 10,
    shardsMax: 100,
    now: () => new Date("2026-11-23T12:00:00Z"),
  }
  return {
    context,
    database,
    pubsubServer,
    storage,
    runJobs,
    settings,
    /** The verdicts sent so far, oldest first. */
    verdicts: (): RunVerdict[] =>
      pubsubServer
        .messages(`projects/local/topics/${topics.runVerdicts}`)
        .map((message) => parseJson(RunVerdictSchema, message.data.toString())),
    workItems: () => pubsubServer.messages(`projects/local/topics/${topics.workItems}`),
    executions: async () => {
      const { openExecutions } = await import("../../shared/google/open-run.ts")
      const client = openExecutions(settings)
      const [executions] = await client.listExecutions({ parent: context.job })
      await client.close()
      return executions
    },
    close: async () => {
      await Promise.all([pubsub.close(), jobs.close()])
      await Promise.all([runJobs.stop(), storage.stop(), pubsubServer.stop(), database.drop()])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type PlannerRoom = Awaited<ReturnType<typeof openPlannerRoom>>

let messages = 0

/** A message as a push brings it; every call is another message. */
export function pushed(data: unknown, publishedAt = "2026-11-23T01:00:00Z"): PushMessage {
  return {
    id: String(1000 + messages++),
    subscription: "test",
    publishedAt: new Date(publishedAt),
    attributes: {},
    deliveryAttempt: 1,
    data: typeof data === "string" ? data : JSON.stringify(data),
  }
}
