import { createHash, randomBytes } from "node:crypto"
import { PubSub } from "@google-cloud/pubsub"
import { ExecutionsClient, JobsClient, TasksClient } from "@google-cloud/run"
import { Storage } from "@google-cloud/storage"
import { credentials } from "@grpc/grpc-js"
import { type Client, type Tried, tryCall } from "./client.ts"

const BIG_BYTES = 20 * 1024 * 1024

export const node: Client = {
  name: "Node",
  missing: async () => undefined,
  async *try({ pubsub, storage, run }) {
    yield* pubsubSteps(pubsub)
    yield* storageSteps(storage)
    yield* runSteps(run)
  },
}

async function* pubsubSteps(apiEndpoint: string): AsyncGenerator<Tried> {
  const client = new PubSub({ projectId: "local", apiEndpoint, emulatorMode: true })
  const step = (operation: string, call: () => Promise<unknown>) => tryCall({ service: "Pub/Sub", operation }, call)
  const subscription = client.subscription("by-node-sub")
  yield step("create a topic", () => client.createTopic("by-node"))
  yield step("create a subscription", () => client.topic("by-node").createSubscription("by-node-sub"))
  yield step("publish", () => client.topic("by-node").publishMessage({ data: Buffer.from("hello") }))
  yield step("pull and acknowledge", async () => {
    const message = await new Promise<{ data: Buffer; ack(): void }>((resolve, reject) => {
      subscription.on("message", resolve).on("error", reject)
    })
    message.ack()
    await subscription.close()
  })
  yield step("update", () => client.subscription("by-node-sub").setMetadata({ ackDeadlineSeconds: 30 }))
  yield step("list", () => client.getSubscriptions())
  yield step("snapshot", () => client.subscription("by-node-sub").createSnapshot("by-node-snap"))
  yield step("seek to a snapshot", () => client.subscription("by-node-sub").seek("by-node-snap"))
  yield step("seek to a time", () => client.subscription("by-node-sub").seek(new Date("2026-01-01")))
  const avro = '{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}'
  yield step("create an Avro schema", () => client.createSchema("by-node-avro", "AVRO", avro))
  yield step("detach", () => client.detachSubscription("by-node-sub"))
  yield step("delete", () => client.topic("by-node").delete())
  await client.close()
}

async function* storageSteps(apiEndpoint: string): AsyncGenerator<Tried> {
  const client = new Storage({ apiEndpoint, projectId: "local" })
  const bucket = client.bucket("by-node")
  const step = (operation: string, call: () => Promise<unknown>) => tryCall({ service: "Storage", operation }, call)
  const big = randomBytes(BIG_BYTES)
  const same = async (name: string, content: Buffer) => {
    const [back] = await bucket.file(name).download()
    const digest = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex")
    if (digest(back) !== digest(content)) throw new Error(`${name} is not what was uploaded`)
  }
  yield step("create a bucket", () => bucket.create())
  yield step("upload", () => bucket.file("small.txt").save("of small.txt\n", { resumable: false }))
  yield step("upload in chunks", () => bucket.file("big").save(big, { chunkSize: 1024 * 1024 }))
  yield step("list", async () => {
    if ((await bucket.getFiles({ prefix: "b" }))[0].length !== 1) throw new Error("not one file")
  })
  yield step("read", () => same("small.txt", Buffer.from("of small.txt\n")))
  yield step("read a range", async () => {
    const [part] = await bucket.file("small.txt").download({ start: 3, end: 7 })
    if (part.toString() !== "small") throw new Error(part.toString())
  })
  yield step("download what was uploaded", () => same("big", big))
  yield step("copy", () => bucket.file("small.txt").copy("copy.txt"))
  yield step("move", () => bucket.file("copy.txt").move("moved.txt"))
  yield step("compose", () => bucket.combine(["small.txt", "moved.txt"], "both"))
  yield step("set metadata", () => bucket.file("both").setMetadata({ metadata: { a: "b" } }))
  yield step("describe", async () => {
    const [{ metadata }] = await bucket.file("both").getMetadata()
    if (metadata?.["a"] !== "b") throw new Error(JSON.stringify(metadata))
  })
  yield step("keep versions", () => bucket.setMetadata({ versioning: { enabled: true } }))
  yield step("overwrite", () => bucket.file("both").save(big))
  yield step("list versions", async () => {
    const [files] = await bucket.getFiles({ prefix: "both", versions: true })
    if (files.length !== 2) throw new Error(`${files.length} versions`)
  })
  yield step("delete all", async () => {
    await bucket.deleteFiles({ versions: true })
    await bucket.delete()
  })
}

async function* runSteps(host: string): AsyncGenerator<Tried> {
  const [servicePath = "", port] = host.split(":")
  const options = { servicePath, port: Number(port), sslCreds: credentials.createInsecure() }
  const [jobs, executions, tasks] = [new JobsClient(options), new ExecutionsClient(options), new TasksClient(options)]
  const step = (operation: string, call: () => Promise<unknown>) => tryCall({ service: "Run", operation }, call)
  const parent = "projects/local/locations/europe-west1"
  const name = `${parent}/jobs/by-node`
  let execution = ""
  yield step("create a job", async () => {
    const job = { template: { taskCount: 2, template: { containers: [{ image: "hello" }] } } }
    const [operation] = await jobs.createJob({ parent, jobId: "by-node", job })
    await operation.promise()
  })
  yield step("describe a job", () => jobs.getJob({ name }))
  yield step("execute and wait", async () => {
    const [operation] = await jobs.runJob({ name })
    const [ended] = await operation.promise()
    execution = ended.name ?? ""
    if (ended.succeededCount !== 2) throw new Error(`${ended.succeededCount} tasks succeeded`)
  })
  yield step("execute with overrides", () => jobs.runJob({ name, overrides: { taskCount: 1 } }))
  yield step("list executions", () => executions.listExecutions({ parent: name }))
  yield step("describe an execution", () => executions.getExecution({ name: execution }))
  yield step("list tasks", async () => {
    if ((await tasks.listTasks({ parent: execution }))[0].length !== 2) throw new Error("not two tasks")
  })
  yield step("delete a job", async () => {
    const [operation] = await jobs.deleteJob({ name })
    await operation.promise()
  })
  await Promise.all([jobs.close(), executions.close(), tasks.close()])
}
