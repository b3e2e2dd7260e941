import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { readFile, writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { PassThroughClient } from "google-auth-library"
import { findFreePort } from "../../../services/local/free-port.ts"
import { type Client, type Servers, type Tried, tryCall, waitFor } from "./client.ts"
import { installPackages, type NpmPackages } from "./npm-packages.ts"

/*
 * Google's libraries of the major before, and programs of others that are built on them: uploads that can be resumed over
 * tus, and a function that is pushed to.
 */

const VERSIONS = {
  "@google-cloud/storage": "7",
  "@google-cloud/pubsub": "4",
  "@google-cloud/run": "2",
  "@google-cloud/functions-framework": "5",
  "@tus/gcs-store": "2",
  "@tus/server": "2",
}

let packages: NpmPackages | undefined

export const otherPackages: Client = {
  name: "npm packages",
  missing: async () => {
    const installed = await installPackages(VERSIONS)
    if (typeof installed === "string") return installed
    packages = installed
    return undefined
  },
  async *try(servers) {
    if (!packages) throw new Error("they are not installed")
    yield* storageSteps(servers, packages)
    yield* pubsubSteps(servers, packages)
    yield* runSteps(servers, packages)
  },
}

async function* storageSteps({ storage }: Servers, { load }: NpmPackages): AsyncGenerator<Tried> {
  const { Storage } = await load("@google-cloud/storage")
  const client = new Storage({ apiEndpoint: storage, projectId: "local" })
  const bucket = client.bucket("by-packages")
  const step = (operation: string, call: () => Promise<unknown>) => tryCall({ service: "Storage", operation }, call)
  yield step("create a bucket", () => bucket.create())
  yield step("upload", () => bucket.file("a").save("content", { resumable: false, metadata: { metadata: { n: 1 } } }))
  yield step("upload in chunks", () => bucket.file("big").save(Buffer.alloc(3_000_000), { chunkSize: 1024 * 1024 }))
  yield step("read", async () => expectSame((await bucket.file("a").download())[0].toString(), "content"))
  yield step("describe", async () => expectSame((await bucket.file("a").getMetadata())[0].metadata.n, "1"))
  yield step("read the IAM policy", () => bucket.iam.getPolicy())
  yield step("upload over tus, in two parts", () => uploadByTus(bucket, { load }))
  yield step("delete all", async () => {
    await bucket.deleteFiles()
    await bucket.delete()
  })
}

/** https://tus.io/protocols/resumable-upload */
async function uploadByTus(bucket: unknown, { load }: Pick<NpmPackages, "load">): Promise<void> {
  const [{ GCSStore }, { Server: TusServer }] = await Promise.all([load("@tus/gcs-store"), load("@tus/server")])
  const tus = new TusServer({ path: "/files", datastore: new GCSStore({ bucket }) })
  const server: Server = createServer((request, response) => void tus.handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  try {
    const version = { "tus-resumable": "1.0.0" }
    const created = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/files`, {
      method: "POST",
      headers: { ...version, "upload-length": "10", "upload-metadata": `name ${btoa("a.txt")}` },
    })
    expectSame(created.status, 201)
    const url = created.headers.get("location") ?? ""
    for (const [offset, part] of [
      ["0", "first"],
      ["5", "later"],
    ] as const) {
      const headers = { ...version, "upload-offset": offset, "content-type": "application/offset+octet-stream" }
      expectSame((await fetch(url, { method: "PATCH", headers, body: part })).status, 204)
    }
    const asked = await fetch(url, { method: "HEAD", headers: version })
    expectSame(asked.headers.get("upload-offset"), "10")
    expectSame(await (await fetch(url)).text(), "firstlater")
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

async function* pubsubSteps(
  { pubsub, folder }: Servers,
  { load, folder: installed }: NpmPackages,
): AsyncGenerator<Tried> {
  const { PubSub } = await load("@google-cloud/pubsub")
  const client = new PubSub({ projectId: "local", apiEndpoint: pubsub, emulatorMode: true })
  const step = (operation: string, call: () => Promise<unknown>) => tryCall({ service: "Pub/Sub", operation }, call)
  const topic = client.topic("by-packages")
  yield step("create a topic", () => topic.create())
  yield step("create a subscription", () => topic.createSubscription("by-packages-sub"))
  yield step("publish", () => topic.publishMessage({ data: Buffer.from("hello"), attributes: { a: "b" } }))
  yield step("pull and acknowledge", async () => {
    const subscription = client.subscription("by-packages-sub")
    const message = await new Promise<{ data: Buffer; ack(): void }>((resolve, reject) => {
      subscription.on("message", resolve).on("error", reject)
    })
    message.ack()
    await subscription.close()
    expectSame(message.data.toString(), "hello")
  })
  yield step("grant a role", async () => {
    const bindings = [{ role: "roles/pubsub.publisher", members: ["allUsers"] }]
    const [policy] = await topic.iam.setPolicy({ bindings })
    expectSame(policy.bindings[0].role, "roles/pubsub.publisher")
  })
  yield step("push to a function", () => pushToFunction(topic, folder, installed))
  yield step("delete", () => topic.delete())
  await client.close()
}

interface TopicLike {
  createSubscription(name: string, options: object): Promise<unknown>
  publishMessage(message: object): Promise<unknown>
}

/** A function of the framework, which makes an event of what is pushed to it. */
async function pushToFunction(topic: TopicLike, folder: string, installed: string): Promise<void> {
  const received = join(folder, "received.json")
  await writeFile(
    join(folder, "function.cjs"),
    `exports.receive = (event, context) => require("node:fs").writeFileSync(${JSON.stringify(received)}, JSON.stringify({ event, context }))`,
  )
  const port = await findFreePort()
  const framework = join(installed, "node_modules/@google-cloud/functions-framework/build/src/main.js")
  const source = [`--source=${join(folder, "function.cjs")}`, "--target=receive", "--signature-type=event"]
  const child = spawn(process.execPath, [framework, ...source, `--port=${port}`], { stdio: "ignore" })
  try {
    const pushEndpoint = `http://127.0.0.1:${port}/projects/local/topics/by-packages`
    await waitFor(async () => (await fetch(pushEndpoint, { method: "HEAD" })).status > 0)
    await topic.createSubscription("by-packages-push", { pushConfig: { pushEndpoint } })
    await topic.publishMessage({ data: Buffer.from("pushed"), attributes: { a: "b" } })
    await waitFor(() => existsSync(received))
    const { event, context } = JSON.parse(await readFile(received, "utf8")) as {
      event: { data: string; attributes: Record<string, string> }
      context: { resource: { name: string } }
    }
    expectSame(Buffer.from(event.data, "base64").toString(), "pushed")
    expectSame(event.attributes["a"], "b")
    expectSame(context.resource.name, "projects/local/topics/by-packages")
  } finally {
    child.kill()
    await once(child, "exit")
  }
}

async function* runSteps({ run: host }: Servers, { load }: NpmPackages): AsyncGenerator<Tried> {
  const { JobsClient } = await load("@google-cloud/run")
  const [apiEndpoint, port] = host.split(":")
  const authClient = new PassThroughClient()
  const jobs = new JobsClient({ fallback: true, protocol: "http", apiEndpoint, port: Number(port), authClient })
  const step = (operation: string, call: () => Promise<unknown>) => tryCall({ service: "Run", operation }, call)
  const parent = "projects/local/locations/europe-west1"
  yield step("create a job", async () => {
    const job = { template: { template: { containers: [{ image: "hello" }] } } }
    const [operation] = await jobs.createJob({ parent, jobId: "by-packages", job })
    await operation.promise()
  })
  yield step("execute and wait", async () => {
    const [operation] = await jobs.runJob({ name: `${parent}/jobs/by-packages` })
    const [execution] = await operation.promise()
    expectSame(execution.succeededCount, 1)
  })
  await jobs.close()
}

function expectSame(found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`)
}
