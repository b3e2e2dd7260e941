import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readShopFile } from "../../schemas/database/read-shop-file.ts"
import { formatJson } from "../../schemas/json.ts"
import { RunRequestSchema } from "../../schemas/messages/run_request_pb.ts"
import { type Database, openDatabase } from "../../shared/database/open-database.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { followRequest, type RequestOutcome } from "../../shared/messages/follow-request.ts"
import { publishRequest } from "../../shared/messages/publish-request.ts"
import { topics } from "../../shared/messages/topics.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { formatCount, formatDuration, formatNumberOf } from "../../shared/terminal/render-numbers.ts"
import { type LineOutput, openProgressLine } from "../../shared/terminal/render-progress.ts"
import { renderVerdict } from "../../shared/terminal/render-verdict.ts"
import { type Cloud, startCloud } from "../local/cloud.ts"
import { type DatabaseServer, type DatabaseServerOptions, startDatabaseServer } from "../local/database/start-server.ts"
import { formatExports } from "../local/format-exports.ts"
import { createShop } from "../local/shop/create-shop.ts"
import { openCleanup } from "./cleanup.ts"
import { addSlices, createRealShop } from "./create-real-shop.ts"
import { type KillSummary, startKilling } from "./kill-tasks.ts"
import { RETRIES_MAX } from "./limits.ts"
import type { DemoOptions } from "./options.ts"
import { realShopFile, realShopTimeZone } from "./real-shops.ts"
import { showPlaces, showRevenue, showSlowestShards, showTruth } from "./show-results.ts"

/**
 * Runs the demo from nothing to a verdict and returns whether that was complete. When it settles, however it went,
 * nothing that it started is left; an abort of the signal makes it fail soon.
 */
export async function runDemo(options: DemoOptions, output: LineOutput, signal: AbortSignal): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-demo-"))
  const cleanup = openCleanup()
  // What is under way then fails at once: a statement in the database knows no signal.
  signal.addEventListener("abort", () => void cleanup.close().catch(() => undefined), { once: true })
  try {
    signal.throwIfAborted()
    return await runSteps(options, { folder, output, signal, onEnd: (close) => cleanup.add(close) })
  } finally {
    try {
      await cleanup.close()
    } finally {
      if (!options.keep) await rm(folder, { recursive: true, force: true })
    }
  }
}

const REWRITE_LINE = "\r\u001B[K"

interface Stage {
  folder: string
  output: LineOutput
  signal: AbortSignal
  /** Registers what to do in the end, in reverse order. */
  onEnd(close: () => Promise<unknown>): void
}

async function runSteps(options: DemoOptions, stage: Stage): Promise<boolean> {
  const { folder, output, signal } = stage
  // What fails once the person has interrupted is no news.
  const log = (line: string) => void (signal.aborted || output.write(`    ${line}\n`))
  output.write(`${describeShop(options)}\n`)
  if (options.keep) output.write(`Everything is kept in ${folder}.\n`)
  const serverUrl =
    options.database.databaseUrl ??
    (await step(stage, "database", async () => {
      const server = await startPrivateServer({ folder, kind: options.database.databaseKind, log }, signal)
      stage.onEnd(() => server.stop())
      log(`${server.name} runs`)
      return server.url
    }))
  const cloud = await step(stage, "local cloud (Pub/Sub, Cloud Storage, Cloud Run, planner, finalizer)", async () => {
    const cloud = await startCloud({
      folder,
      databaseUrl: serverUrl,
      parallelism: options.tasks,
      maxRetries: RETRIES_MAX,
      ...(options.keepRunning ? { pagePort: 0 } : {}),
      settings: {
        SHARD_PURCHASES: String(options.shardPurchases),
        ...(options.shop === undefined
          ? { REVENUE_TIME_ZONE: "UTC" }
          : { REVENUE_TIME_ZONE: realShopTimeZone(options.shop), SHOP_FILE: realShopFile(options.shop) }),
      },
      log,
      signal,
    })
    stage.onEnd(() => cloud.stop())
    return cloud
  })
  const { DATABASE_URL: databaseUrl = "" } = cloud.env
  const database = openDatabase({ url: databaseUrl, connectionsMax: 2 })
  stage.onEnd(() => database.close())
  const { users, purchases, days, date, shop } = options
  const showRows = (loaded: number, total: number) =>
    output.isTTY && output.write(`\r    ${formatCount(loaded)} of ${formatCount(total)} rows`)
  if (shop === undefined) {
    await step(stage, `shop (${formatNumberOf(days, "day")} of purchases)`, () =>
      createShop(databaseUrl, { users, purchases, days, date }, showRows),
    )
  } else {
    await step(stage, `shop (tables and rows of test/shops/${shop})`, () => createRealShop(database.db, shop))
    if (options.index) await step(stage, "an index of the day", () => addSlices(database.db, layoutOf(options), log))
  }
  const isComplete = await computeDate(options, stage, cloud, database.db)
  if (options.keepRunning) await stayUp(cloud, output, signal)
  else output.write("To see it on its page: npm run demo -- --keep-running\n")
  return isComplete
}

/** Lets the cloud run until the person has seen enough. */
async function stayUp({ page, env }: Cloud, output: LineOutput, signal: AbortSignal): Promise<void> {
  output.write(`The days are at ${page?.url}. Everything runs until Ctrl-C; for npm run daybook in another shell:\n`)
  writeLines(output, formatExports(env))
  if (!signal.aborted) await new Promise((stopped) => signal.addEventListener("abort", stopped, { once: true }))
}

/** How the shop is read. */
const layoutOf = ({ shop }: DemoOptions) => readShopFile(shop && realShopFile(shop))

function describeShop({ shop, users, purchases, date }: DemoOptions): string {
  if (shop !== undefined) return `The shop ${shop}, of which ${date} is asked for, in ${realShopTimeZone(shop)}.`
  return `A shop of ${formatCount(users)} users with ${formatCount(purchases)} purchases on ${date}.`
}

/** Once it runs, an abort does not stop it: the cloud, which has a database in it, goes first. */
async function startPrivateServer(options: DatabaseServerOptions, signal: AbortSignal): Promise<DatabaseServer> {
  const starting = new AbortController()
  const stopStarting = () => starting.abort(signal.reason)
  signal.addEventListener("abort", stopStarting, { once: true })
  try {
    return await startDatabaseServer({ ...options, signal: starting.signal })
  } finally {
    signal.removeEventListener("abort", stopStarting)
  }
}

/** Publishes the date, follows its run, and shows what came of it. */
async function computeDate(options: DemoOptions, stage: Stage, cloud: Cloud, db: Database): Promise<boolean> {
  const { output, signal } = stage
  const settings = {
    GOOGLE_CLOUD_PROJECT: cloud.env["GOOGLE_CLOUD_PROJECT"] ?? "",
    PUBSUB_EMULATOR_HOST: cloud.env["PUBSUB_EMULATOR_HOST"],
    BUCKET: cloud.env["BUCKET"] ?? "",
    STORAGE_EMULATOR_HOST: cloud.env["STORAGE_EMULATOR_HOST"],
  }
  const bucket = openBucket(settings)
  const log = await createLog("demo", "silent")
  const pubsub = openPubSub(settings)
  stage.onEnd(() => pubsub.close())

  const data = formatJson(RunRequestSchema, { date: options.date })
  const startedAt = performance.now()
  const messageId = await publishRequest(pubsub, topics.runRequests, data)
  output.write(`Published ${data} to ${topics.runRequests}.\n`)
  const progress = openProgressLine(output)
  const killing = startKilling(cloud.runJobs, db, options.kill, signal)
  let outcome: RequestOutcome
  try {
    const request = { topic: topics.runRequests, messageId, dates: [options.date] }
    outcome = await followRequest({ db, bucket }, request, {
      log,
      signal,
      onRun: (run) => killing.begin(run.runId),
      onProgress: (current) => progress.show(current),
    })
  } finally {
    progress.end()
    await killing.end()
  }
  const tookMs = performance.now() - startedAt
  if (outcome.kind === "rejected") {
    output.write(`rejected: ${outcome.reason}\n`)
    return false
  }
  const { verdict } = outcome
  writeLines(output, renderVerdict(verdict, layoutOf(options).scale))
  if (options.kill > 0) writeLines(output, [describeKills(killing.summary())])
  writeLines(output, await showSlowestShards(bucket, verdict.runId, { log, signal }))
  const sample = await (options.shop === undefined ? showRevenue(db, options.date) : showTruth(db, options.shop))
  writeLines(output, sample.lines)
  writeLines(output, showPlaces(verdict.runId, bucket.name, options.keep ? stage.folder : undefined))
  output.write(`From the published date to the verdict: ${formatDuration(tookMs)}.\n`)
  return verdict.verdict === "complete" && sample.agrees
}

function describeKills({ killed, asked }: KillSummary): string {
  const enough = killed === asked ? "" : ": the others found nobody at work"
  return `killed ${formatCount(killed)} of ${formatNumberOf(asked, "task")} while they worked${enough}`
}

function writeLines(output: LineOutput, lines: string[]): void {
  output.write(`${lines.join("\n")}\n`)
}

async function step<T>({ output, signal }: Stage, name: string, run: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  output.write(`  ${name} …\n`)
  const result = await run()
  signal.throwIfAborted()
  output.write(`${output.isTTY ? REWRITE_LINE : ""}    ready after ${formatDuration(performance.now() - startedAt)}\n`)
  return result
}
