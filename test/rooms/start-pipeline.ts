import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createConnection } from "mysql2/promise"
import { expect, inject, vi } from "vitest"
import { type Plan, PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { type Verdict, VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { parseJson } from "../../schemas/json.ts"
import { type DayChange, DayChangeSchema } from "../../schemas/messages/day_change_pb.ts"
import { type RunVerdict, RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import { startCloud } from "../../services/local/cloud.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { planPath, verdictPath } from "../../shared/documents/document-paths.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { findRun } from "../../shared/ledger/find-runs.ts"
import { listShards } from "../../shared/ledger/find-shards.ts"
import { topics } from "../../shared/messages/topics.ts"
import { asText, shopTables } from "./test-database.ts"

export const date = "2026-11-22"

const VERDICT_TIMEOUT_MS = 60_000

export interface PipelineOptions {
  parallelism?: number
  maxRetries?: number
  shardPurchases?: number
  sweepSeconds?: number
  deliveryAttemptsMax?: number
  settings?: Record<string, string>
  /** Another account on the server of the tests. */
  databaseServer?: string
  /** With the page of the days, on any port with 0. */
  pagePort?: number
  /** The programs of an image, instead of the sources' own. */
  programsFolder?: string
}

/** The whole system for one test file: the local cloud, planner and finalizer as processes, and an empty shop. */
export async function startPipeline(options: PipelineOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), "daybook-pipeline-"))
  const { parallelism = 2, maxRetries = 3, shardPurchases = 50, sweepSeconds = 1, settings = {} } = options
  const cloud = await startCloud({
    folder,
    databaseUrl: options.databaseServer ?? inject("databaseServer"),
    ...(options.programsFolder ? { programsFolder: options.programsFolder } : {}),
    parallelism,
    maxRetries,
    sweepSeconds,
    ...(options.pagePort === undefined ? {} : { pagePort: options.pagePort }),
    ...(options.deliveryAttemptsMax ? { deliveryAttemptsMax: options.deliveryAttemptsMax } : {}),
    settings: { SHARD_PURCHASES: String(shardPurchases), AUDIT_DAYS: "0", ...settings },
  })
  const databaseUrl = cloud.env["DATABASE_URL"] ?? ""
  const { db, close } = openDatabase({ url: databaseUrl, connectionsMax: 8 })
  for (const table of shopTables) await db.execute(table)
  const pubsub = openPubSub({ GOOGLE_CLOUD_PROJECT: "local", PUBSUB_EMULATOR_HOST: cloud.env["PUBSUB_EMULATOR_HOST"] })
  const verdictTopic = `projects/local/topics/${topics.runVerdicts}`

  const query = async <Row = Record<string, unknown>>(...statements: string[]): Promise<Row[]> => {
    let rows: unknown = []
    for (const statement of statements) rows = ((await db.execute(statement)) as unknown as [unknown])[0]
    return rows as Row[]
  }
  /** Publishes as anyone could, and returns the message's id. */
  const publish = (topic: string, data: unknown, attributes: Record<string, string> = {}) =>
    pubsub
      .topic(topic, { batching: { maxMessages: 1 } })
      .publishMessage({ data: Buffer.from(JSON.stringify(data)), attributes })
  const verdicts = (): RunVerdict[] =>
    cloud.pubsub.messages(verdictTopic).map((message) => parseJson(RunVerdictSchema, message.data.toString()))
  const readObject = (path: string) => readFile(join(folder, "bucket", "daybook", path), "utf8")
  /** Waits for the verdict that answers a request. */
  const awaitVerdict = (requestId: string): Promise<RunVerdict> =>
    vi.waitFor(
      () => {
        const verdict = verdicts().find((sent) => sent.requestId === requestId)
        if (!verdict) throw new Error(`no verdict on request ${requestId}`)
        return verdict
      },
      { timeout: VERDICT_TIMEOUT_MS, interval: 20 },
    )

  return {
    cloud,
    db,
    databaseUrl,
    pubsub,
    query,
    publish,
    verdicts,
    /** What was told of a date. */
    dayChanges: (of: string): DayChange[] =>
      cloud.pubsub
        .messages(`projects/local/topics/${topics.dayChanges}`)
        .map((message) => parseJson(DayChangeSchema, message.data.toString()))
        .filter((change) => change.date === of),
    awaitVerdict,
    /** A connection of its own, to hold locks with. */
    connect: () => createConnection({ uri: databaseUrl }),
    start: async (of = date) => awaitVerdict(await publish(topics.runRequests, { date: of })),
    rerun: async (request: unknown) => awaitVerdict(await publish(topics.rerunRequests, request)),
    shards: (runId: string) => listShards(db, runId),
    run: (runId: string) => findRun(db, runId),
    readPlan: async (runId: string): Promise<Plan> => parseJson(PlanSchema, await readObject(planPath(runId))),
    readVerdict: async (runId: string): Promise<Verdict> =>
      parseJson(VerdictSchema, await readObject(verdictPath(runId))),
    /** The view that readers see, beside an independent computation. */
    expectRevenue: async (of = date) => {
      const seen = await query(
        `SELECT user_id, amount_cents, purchases FROM revenue WHERE revenue_date = '${of}' ORDER BY user_id`,
      )
      const expected = await query(`SELECT user_id, SUM(amount_cents) AS amount_cents, COUNT(*) AS purchases
        FROM purchases WHERE DATE(purchased_at) = '${of}' AND user_id IS NOT NULL GROUP BY user_id ORDER BY user_id`)
      expect(asText(seen)).toEqual(asText(expected))
      return seen.length
    },
    subscriptions: () => cloud.pubsub.subscriptions().map(({ name }) => name?.split("/").at(-1) ?? ""),
    /** All that services and tasks have logged. */
    readLogs: async (): Promise<string> => {
      const names = await readdir(join(folder, "logs"), { recursive: true })
      const logs = names.filter((name) => name.endsWith(".log"))
      return (await Promise.all(logs.map((name) => readFile(join(folder, "logs", name), "utf8")))).join("")
    },
    stop: async () => {
      await close()
      await pubsub.close()
      await cloud.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type Pipeline = Awaited<ReturnType<typeof startPipeline>>

/** Statements that fill the shop: `users` users with `each` purchases on the date, some refunds, a few guests. */
export function purchasesOf(users: number, each: number, of = date): string[] {
  const rows = Array.from({ length: users * each }, (_, n) => {
    const user = Math.floor(n / each) * 7 + 1
    const amount = n % 11 === 0 ? -500 : 100 + (n % 97)
    return `(${n % 41 === 0 ? "NULL" : user}, ${amount}, '${of} ${String(n % 24).padStart(2, "0")}:30:00')`
  })
  const statements: string[] = []
  for (let start = 0; start < rows.length; start += 1_000) {
    const values = rows.slice(start, start + 1_000).join(", ")
    statements.push(`INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES ${values}`)
  }
  return statements
}
