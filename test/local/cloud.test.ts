import { existsSync } from "node:fs"
import { mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createConnection, type RowDataPacket } from "mysql2/promise"
import { afterAll, beforeAll, expect, inject, onTestFinished, test, vi } from "vitest"
import { type Cloud, startCloud } from "../../services/local/cloud.ts"
import type { CloudOptions } from "../../services/local/cloud-options.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { openJobs } from "../../shared/google/open-run-jobs.ts"
import { topics } from "../../shared/messages/topics.ts"

const server = inject("databaseServer")
const waiting = { timeout: 20_000, interval: 20 }

let folder: string
let cloud: Cloud
const lines: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-cloud-"))
  cloud = await startCloud({
    folder,
    databaseUrl: server,
    parallelism: 3,
    maxRetries: 4,
    taskTimeoutSeconds: 77,
    sweepSeconds: 0,
    settings: { SHARD_PURCHASES: "123" },
    log: (line) => lines.push(line),
  })
})

afterAll(async () => {
  await cloud.stop()
  await rm(folder, { recursive: true, force: true })
})

test("its environment is all that clients need", async () => {
  const { DATABASE_URL, GOOGLE_CLOUD_PROJECT = "", PUBSUB_EMULATOR_HOST, BUCKET = "", ...env } = cloud.env
  expect(await queryOn(DATABASE_URL ?? "", "SELECT * FROM revenue")).toEqual([])
  const pubsub = openPubSub({ GOOGLE_CLOUD_PROJECT, PUBSUB_EMULATOR_HOST })
  const [found] = await pubsub.getTopics()
  await pubsub.close()
  expect(found.map((topic) => topic.name.split("/").at(-1)).toSorted()).toEqual(Object.values(topics).toSorted())
  const bucket = openBucket({ BUCKET, STORAGE_EMULATOR_HOST: env["STORAGE_EMULATOR_HOST"] })
  await bucket.file("a/b.txt").save("hello", { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } })
  expect(await readFile(join(folder, "bucket", BUCKET, "a/b.txt"), "utf8")).toBe("hello")
  expect(env["METADATA_SERVER_DETECTION"]).toBe("none")
})

test("the worker's job is as a deployment makes it", async () => {
  const jobs = openJobs({ GOOGLE_CLOUD_PROJECT: "local", RUN_EMULATOR_HOST: cloud.env["RUN_EMULATOR_HOST"] })
  const [job] = await jobs.getJob({ name: cloud.env["WORKER_JOB"] ?? "" })
  await jobs.close()
  const task = job.template?.template
  expect(job.template).toMatchObject({ parallelism: 3, taskCount: 3 })
  expect(task).toMatchObject({ maxRetries: 4, timeout: { seconds: "77" } })
  const env = Object.fromEntries((task?.containers?.[0]?.env ?? []).map(({ name, value }) => [name, value]))
  expect(env).toMatchObject({ ...cloud.env, SHARD_PURCHASES: "123" })
  expect(env).not.toHaveProperty("PORT")
})

test("topics push to the services", () => {
  const endpoints = cloud.pubsub.subscriptions().map((subscription) => subscription.pushConfig?.pushEndpoint ?? "")
  expect(endpoints.filter(Boolean).toSorted()).toEqual(
    [
      ...["run-requests", "run-starts", "rerun-requests"].map((topic) => `${cloud.services.planner.url}/${topic}`),
      ...["shard", "audit", "backfill", "cancel", "pause", "release"].map(
        (what) => `${cloud.services.finalizer.url}/${what}-${what === "shard" ? "reports" : "requests"}`,
      ),
    ].toSorted(),
  )
})

test("who is to be notified is told to the notifier alone, and a cloud that notifies nobody any more drops its subscription", async () => {
  const settings = {
    NOTIFY_URL: "http://127.0.0.1:1/hook",
    NOTIFY_SECRETS: `whsec_${"a".repeat(32)}`,
    SHARD_PURCHASES: "123",
  }
  const notifying = await startOther({ settings, keepState: true, pagePort: 0 })
  const subscriptions = (of: Cloud) => of.pubsub.subscriptions().map(({ name }) => name?.split("/").at(-1))
  const environmentOf = (pid: number | undefined) => readFile(`/proc/${pid}/environ`, "utf8")
  try {
    expect(subscriptions(notifying)).toContain("notify-day-changes")
    const { NOTIFY_URL, PAGE_URL } = notifying.env
    expect([NOTIFY_URL, PAGE_URL]).toEqual([settings.NOTIFY_URL, notifying.page?.url])
    expect(await environmentOf(notifying.notify?.pid)).toContain(settings.NOTIFY_SECRETS)
    expect(await environmentOf(notifying.notify?.pid)).not.toMatch(/DATABASE_URL|BUCKET/)
    expect(await environmentOf(notifying.services.finalizer.pid)).not.toContain("NOTIFY_")
  } finally {
    await notifying.stop()
  }
  const silent = await startCloud({ folder: notifying.folder, databaseUrl: server, sweepSeconds: 0, keepState: true })
  try {
    expect(silent.notify).toBeUndefined()
    expect(subscriptions(silent)).toContain("finalizer-shard-reports")
    expect(subscriptions(silent)).not.toContain("notify-day-changes")
  } finally {
    await silent.stop()
  }
})

test("a service that dies is started again at the same address, and the log says so", async () => {
  const { planner } = cloud.services
  const { url, pid } = planner
  expect(planner.kill()).toBe(true)
  await vi.waitFor(() => expect(planner.restarts).toBe(1), waiting)
  await planner.ready()
  expect(planner.url).toBe(url)
  expect(planner.pid).not.toBe(pid)
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  expect(lines.filter((line) => line.includes("planner was ended by SIGKILL"))).toHaveLength(1)
  expect((await readFile(planner.logFile, "utf8")).match(/"listening"/g)).toHaveLength(2)
})

test("a sweep is done when the call returns, and fails when the finalizer is not there", async () => {
  const { finalizer } = cloud.services
  await cloud.sweep()
  finalizer.kill("SIGKILL")
  await vi.waitFor(() => expect(finalizer.pid).toBeUndefined(), { timeout: 5_000, interval: 1 })
  await expect(cloud.sweep()).rejects.toThrow("fetch failed")
  await finalizer.ready()
  await cloud.sweep()
})

test("a second cloud on the same folder is refused", async () => {
  await expect(startCloud({ folder, databaseUrl: server })).rejects.toThrow("used by another local cloud")
  expect((await fetch(`${cloud.services.planner.url}/healthz`)).status).toBe(200)
})

test("when it stops, nothing is left but its folder", async () => {
  const other = await startOther({ settings: {} })
  const database = new URL(other.env["DATABASE_URL"] ?? "").pathname.slice(1)
  const pids = [other.services.planner.pid, other.services.finalizer.pid]
  expect(await listDatabases()).toContain(database)
  expect(pids.every(isAlive)).toBe(true)
  await Promise.all([other.stop(), other.stop()])
  expect(pids.some(isAlive)).toBe(false)
  expect(await listDatabases()).not.toContain(database)
  for (const address of [other.services.planner.url, other.storage.url])
    await expect(fetch(address)).rejects.toThrow("fetch failed")
  expect(existsSync(join(other.folder, "cloud.pid"))).toBe(false)
})

test.each<[string, Partial<CloudOptions>, string]>([
  ["a setting is wrong", { settings: { REVENUE_TIME_ZONE: "Mars/Olympus" } }, "REVENUE_TIME_ZONE is not an IANA"],
  ["the database does not answer", { databaseUrl: "mysql://root@127.0.0.1:1/" }, "127.0.0.1:1"],
])("when %s, it says so and leaves nothing running", async (_what, options, message) => {
  const place = await makeFolder()
  await expect(startCloud({ folder: place, databaseUrl: server, ...options })).rejects.toThrow(message)
  expect(await listProcesses(place)).toEqual([])
  expect(existsSync(join(place, "cloud.pid"))).toBe(false)
})

test("a port that is taken is named, with what it was for", async () => {
  const taken = createServer()
  await new Promise<void>((listening) => taken.listen(0, "127.0.0.1", listening))
  onTestFinished(() => void taken.close())
  const { port } = taken.address() as { port: number }
  await expect(startOther({ ports: { storage: port } })).rejects.toThrow(
    `Port ${port}, wanted for Cloud Storage, is in use`,
  )
})

test("an abort while it starts leaves nothing running", async () => {
  const stopping = new AbortController()
  const place = await makeFolder()
  const starting = startCloud({ folder: place, databaseUrl: server, signal: stopping.signal })
  const abort = async () => {
    await vi.waitFor(async () => expect(await listProcesses(place)).not.toEqual([]), waiting)
    stopping.abort(new Error("enough"))
  }
  await Promise.all([expect(starting).rejects.toThrow("enough"), abort()])
  expect(await listProcesses(place)).toEqual([])
  expect(existsSync(join(place, "cloud.pid"))).toBe(false)
})

test("its own database, the bucket and the logs are there again for the next cloud on the folder", async () => {
  const place = await makeFolder()
  const first = await startCloud({ folder: place, sweepSeconds: 0 })
  const insertDay =
    "INSERT INTO published_days (revenue_date, version, run_id, published_at) VALUES ('2026-11-22', 1, 'r', NOW(3))"
  await queryOn(first.env["DATABASE_URL"] ?? "", insertDay)
  await openBucket({ BUCKET: "daybook", STORAGE_EMULATOR_HOST: first.storage.url })
    .file("kept")
    .save("x", { resumable: false })
  const lastId = await publish(first)
  await first.stop()
  expect(isAlive(first.databaseServer?.pid)).toBe(false)

  const stopping = new AbortController()
  const second = await startCloud({ folder: place, sweepSeconds: 0, signal: stopping.signal })
  expect(await queryOn(second.env["DATABASE_URL"] ?? "", "SELECT version FROM published_days")).toEqual([
    { version: 1 },
  ])
  const [kept] = await openBucket({ BUCKET: "daybook", STORAGE_EMULATOR_HOST: second.storage.url })
    .file("kept")
    .exists()
  expect(kept).toBe(true)
  // A run is named by its message: an id that came again would be taken for a redelivery of the old request.
  expect(BigInt(await publish(second))).toBeGreaterThan(BigInt(lastId))
  stopping.abort()
  await second.stop()
  expect(isAlive(second.databaseServer?.pid)).toBe(false)
})

async function startOther(options: Partial<CloudOptions>): Promise<Cloud> {
  return startCloud({ folder: await makeFolder(), databaseUrl: server, sweepSeconds: 0, ...options })
}

async function makeFolder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "daybook-cloud-"))
  onTestFinished(() => rm(made, { recursive: true, force: true }))
  return made
}

async function publish(to: Cloud): Promise<string> {
  const pubsub = openPubSub({ GOOGLE_CLOUD_PROJECT: "local", PUBSUB_EMULATOR_HOST: to.env["PUBSUB_EMULATOR_HOST"] })
  const id = await pubsub.topic(topics.deadLetters).publishMessage({ data: Buffer.from("x") })
  await pubsub.close()
  return id
}

function isAlive(pid: number | undefined): boolean {
  if (pid === undefined) return false
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Those whose output goes to a file in the folder: services, tasks, database. */
async function listProcesses(place: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name))
  const outputs = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/fd/1`).catch(() => "")))
  return outputs.filter((file) => file.startsWith(place))
}

async function listDatabases(): Promise<unknown[]> {
  return (await queryOn(server, "SHOW DATABASES")).map((row) => Object.values(row)[0])
}

async function queryOn(url: string, statement: string): Promise<RowDataPacket[]> {
  const connection = await createConnection({ uri: url })
  try {
    return (await connection.query<RowDataPacket[]>(statement))[0]
  } finally {
    await connection.end()
  }
}
