import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as wait } from "node:timers/promises"
import { type Connection, createConnection } from "mysql2/promise"
import { startCloud } from "../../services/local/cloud.ts"
import type { CloudOptions } from "../../services/local/cloud-options.ts"
import { rootPassword } from "../../services/local/database/root-password.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { shopTables } from "../fixtures/test-database.ts"
import { createAudit } from "./audit.ts"
import { recordCalls } from "./call-recorder.ts"
import { startDatabaseProxy } from "./database-proxy.ts"
import { findProcessesWith } from "./find-process.ts"
import type { Evidence, SentVerdict } from "./invariants.ts"
import { startPushRelay } from "./push-relay.ts"

const PROJECT = "projects/local"
const pushSubscriptions = [
  "planner-run-requests",
  "planner-rerun-requests",
  "finalizer-shard-reports",
  "planner-run-starts",
  "finalizer-backfill-requests",
  "finalizer-cancel-requests",
  "finalizer-pause-requests",
  "finalizer-release-requests",
  "finalizer-audit-requests",
]

/** By default: every retry, redelivery and sweep of a case is over far earlier. */
const STUCK_MS = 90_000
const POLL_MS = 10
const SWEEP_PAUSE_MS = 250

export interface FaultCloudOptions extends Pick<CloudOptions, "parallelism" | "maxRetries" | "taskTimeoutSeconds"> {
  shardPurchases?: number
  /** The statements that make the shop's tables: by default with the index of the day's slice. */
  shop?: string[]
  /** The shop is read as if it was on another server: its rows travel. */
  isShopElsewhere?: boolean
  /** Beyond this a run is stuck. */
  patienceMs?: number
  settings?: Record<string, string>
}

/** The whole system with a proxy before its database, watched at every server. It sweeps only when asked to. */
export async function startFaultCloud(options: FaultCloudOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), "daybook-faults-"))
  const proxy = await startDatabaseProxy()
  const { shardPurchases = 12, settings = {}, patienceMs = STUCK_MS, shop = shopTables, ...others } = options
  const { isShopElsewhere = false, ...rest } = others
  const password = await rootPassword(folder)
  const urlOf = (name: string) => `mysql://root:${password}@127.0.0.1:${proxy.port}/${name}`
  const cloud = await startCloud({
    folder,
    parallelism: 1,
    maxRetries: 3,
    sweepSeconds: 0,
    restartMaxMs: 50,
    ...rest,
    settings: {
      SHARD_PURCHASES: String(shardPurchases),
      // Nights would come into the cases at some hours and not at others.
      AUDIT_DAYS: "0",
      DATABASE_URL: urlOf("daybook"),
      ...(isShopElsewhere ? { SOURCE_DATABASE_URL: urlOf("shop") } : {}),
      ...settings,
    },
  })
  const server = cloud.databaseServer
  if (!server) throw new Error("the faults need a database server of their own")
  proxy.target = server.port
  const connect = () =>
    createConnection({
      uri: `${server.url}daybook`,
      supportBigNumbers: true,
      bigNumberStrings: true,
      timezone: "Z",
    })
  let connection = await connect()
  await createShop(connection, shop, isShopElsewhere)
  await createAudit(connection)
  const recorder = recordCalls(cloud, proxy)
  const pubsub = openPubSub({ GOOGLE_CLOUD_PROJECT: "local", PUBSUB_EMULATOR_HOST: cloud.env["PUBSUB_EMULATOR_HOST"] })

  const relay = await startPushRelay(cloud, pubsub)

  const verdicts = (): SentVerdict[] =>
    cloud.pubsub
      .messages(`${PROJECT}/topics/run-verdicts`)
      .map((message) => JSON.parse(message.data.toString()) as SentVerdict)
  const subscriptions = () => cloud.pubsub.subscriptions().map(({ name }) => name?.split("/").at(-1) ?? "")
  const logs = createLogReader(join(folder, "logs"))

  const extras = new Set<number>()
  let stopping: Promise<void> | undefined
  const stop = async () => {
    recorder.stop()
    connection.destroy()
    await pubsub.close()
    await cloud.stop()
    await relay.stop()
    await proxy.stop()
    await rm(folder, { recursive: true, force: true })
  }

  let sweepsPaused = false

  /** Waits for a condition, sweeping all the while from the time when the system may need it. */
  async function waitFor<T>(what: string, find: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const startedAt = Date.now()
    let sweptAt = startedAt + 1_000
    for (;;) {
      const found = await find()
      if (found !== undefined) return found
      const now = Date.now()
      if (now - startedAt > patienceMs) throw new Error(`stuck run: ${what} did not come in ${patienceMs} ms`)
      if (now > sweptAt && !sweepsPaused) {
        await cloud.sweep().catch(() => undefined)
        sweptAt = Date.now() + SWEEP_PAUSE_MS
      }
      await wait(POLL_MS)
    }
  }

  const publish = (topic: string, data: unknown, attributes: Record<string, string> = {}): Promise<string> =>
    pubsub
      .topic(topic, { batching: { maxMessages: 1 } })
      .publishMessage({ data: Buffer.from(typeof data === "string" ? data : JSON.stringify(data)), attributes })

  const awaitVerdict = (requestId: string): Promise<SentVerdict> =>
    waitFor(`a verdict on request ${requestId}`, () => verdicts().find((sent) => sent.requestId === requestId))

  const isQuiet = async (): Promise<boolean> => {
    if (cloud.runJobs.tasks().length > 0) return false
    const backlogs = pushSubscriptions.map((name) => cloud.pubsub.backlog(`${PROJECT}/subscriptions/${name}`))
    if (backlogs.some(({ undelivered, outstanding }) => undelivered + outstanding > 0)) return false
    const [open] = await connection.query(
      "SELECT 1 FROM runs WHERE state NOT IN ('complete', 'incomplete', 'held', 'cancelled') OR announced_at IS NULL LIMIT 1",
    )
    return (open as unknown[]).length === 0
  }

  return {
    cloud,
    proxy,
    databaseServer: server,
    recorder,
    relay,
    folder,
    connect,
    get connection() {
      return connection
    },
    /** After the database server was away. */
    reconnect: async () => {
      connection.destroy()
      connection = await connect()
    },
    query: async <Row = Record<string, unknown>>(
      statement: string,
      values: (string | number | null)[] = [],
    ): Promise<Row[]> => (await connection.query(statement, values))[0] as Row[],
    publish,
    verdicts,
    subscriptions,
    waitFor,
    /** Nothing is swept until the returned function is called. */
    pauseSweeps: () => {
      sweepsPaused = true
      return () => {
        sweepsPaused = false
      }
    },
    awaitVerdict,
    /** Asks for a date and waits for the verdict. */
    start: async (date: string) => awaitVerdict(await publish("run-requests", { date })),
    /** What a person does with an incomplete verdict: publishes the message that it names. */
    retry: async (verdict: SentVerdict) => {
      const { topic, data } = verdict["retry"] as { topic: string; data: string }
      return awaitVerdict(await publish(topic, data))
    },
    /** Waits until nothing is under way any more: no task, no message, no run without its announced verdict. */
    waitUntilIdle: () => waitFor("quiet", async () => (await isQuiet().catch(() => false)) || undefined),
    evidence: (): Evidence => ({
      connection,
      bucket: join(folder, "bucket", "daybook"),
      verdicts: verdicts(),
      subscriptions: subscriptions(),
    }),
    /** Processes that a test has started itself. */
    extras,
    /** Programs of this cloud that should not be there while it is quiet. */
    orphans: () => {
      const { planner, finalizer } = cloud.services
      const processes = findProcessesWith(`127.0.0.1:${proxy.port}/daybook`)
      const known = [planner.pid, finalizer.pid, ...extras]
      return processes.filter((pid) => !known.includes(pid))
    },
    /** What was logged since the last call of this that no log may hold, whatever happened. */
    findPanics: async () => (await logs.readNew()).filter((line) => PANIC.test(line)),
    /** Every line that was ever logged. */
    readLogs: () => logs.readAll(),
    deadLetters: () => cloud.pubsub.backlog(`${PROJECT}/subscriptions/dead-letters`).undelivered,
    /** May be called again. */
    stop: () => (stopping ??= stop()),
  }
}

/** A shop elsewhere is seen beside Revenue by the tests, who write to it through a view. */
async function createShop(connection: Connection, tables: string[], isElsewhere: boolean): Promise<void> {
  if (isElsewhere) {
    await connection.query("CREATE DATABASE shop")
    await connection.query("USE shop")
  }
  for (const table of tables) await connection.query(table)
  if (isElsewhere) {
    await connection.query("USE daybook")
    await connection.query("CREATE VIEW purchases AS SELECT * FROM shop.purchases")
  }
}

/** What a program says that did not expect what happened to it. */
const PANIC = /unhandled|uncaught|TypeError|ReferenceError|RangeError|ERR_STREAM_UNABLE/i

/** The lines of all logs below a folder; each is read once. */
function createLogReader(folder: string) {
  const read = new Map<string, number>()
  const lines: string[] = []
  const readNew = async (): Promise<string[]> => {
    const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".log"))
    const added: string[] = []
    for (const name of names) {
      const from = read.get(name) ?? 0
      if ((await stat(join(folder, name))).size === from) continue
      const text = (await readFile(join(folder, name))).subarray(from)
      read.set(name, from + text.length)
      added.push(...text.toString("utf8").split("\n"))
    }
    lines.push(...added)
    return added
  }
  return {
    readNew,
    readAll: async () => {
      await readNew()
      return lines
    },
  }
}

export type FaultCloud = Awaited<ReturnType<typeof startFaultCloud>>
