import { openShop } from "../../schemas/database/shop.ts"
import { explainDatabaseError } from "../../shared/database/explain-database-error.ts"
import { readThrottle } from "../../shared/database/find-busy-reason.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { openSource } from "../../shared/database/open-source.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { PermanentError } from "../../shared/errors.ts"
import { findDispatch } from "../../shared/ledger/runs/find-dispatches.ts"
import { findRun } from "../../shared/ledger/runs/find-runs.ts"
import { countShards, type TaskAttempt } from "../../shared/ledger/shards/find-shards.ts"
import { runProcess } from "../../shared/lifecycle.ts"
import { retryTransient } from "../../shared/retry.ts"
import { errorFields } from "../../shared/telemetry/error-fields.ts"
import { createLog, type Log } from "../../shared/telemetry/log.ts"
import { openTelemetry } from "../../shared/telemetry/open-telemetry.ts"
import { parseTraceParent } from "../../shared/telemetry/trace-parent.ts"
import { continueTrace, inTraceSpan } from "../../shared/telemetry/tracing.ts"
import { openClaimGate } from "./claim-gate.ts"
import { claimItems } from "./claim-items.ts"
import { readWorkerConfig, type WorkerConfig } from "./config.ts"
import type { GoogleClients } from "./google-clients.ts"
import { measurePace } from "./pace.ts"
import { performWork } from "./perform-work.ts"
import { openItemSource } from "./pull-item.ts"

// One connection, and one to the source where that is another server: a task does one thing at a time.
const CONNECTIONS_MAX = 1

// The statements of a transaction follow each other at once. A task that is silent for longer than this in one is
// frozen, and its locks must not keep the next attempt waiting.
const IDLE_SECONDS_MAX = 20

// The server does not see that a client has died while its statement waits for a lock, and what it has locked itself
// stays locked until then: so long a dead task can keep its next attempt waiting. Who waits in vain tries again.
const LOCK_WAIT_SECONDS_MAX = 5

const BATCHES_PER_TASK = 8
const ITEMS_MAX = 20

// What a process stopped by SIGTERM exits with by convention; not zero, so that Cloud Run tries again.
const EXIT_TERMINATED = 143
const EXIT_FAILED = 1

/** One task of the job: claims shards, computes them, and ends when all of the dispatch are claimed. */
export async function run(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const config = readWorkerConfig(env)
  const task: TaskAttempt = {
    execution: config.CLOUD_RUN_EXECUTION,
    taskIndex: config.CLOUD_RUN_TASK_INDEX,
    attempt: config.CLOUD_RUN_TASK_ATTEMPT,
  }
  const log = await createLog("worker", config.LOG_LEVEL, config.GOOGLE_CLOUD_PROJECT)
  const telemetry = await openTelemetry(config, "worker", log)
  const fields = { runId: config.RUN_ID, dispatch: config.DISPATCH, ...task }
  const exitCode = await continueTrace(parseTraceParent(config.TRACEPARENT), () =>
    inTraceSpan("task", fields, async () => {
      try {
        return await runTask(config, task, log, signal, telemetry.flush)
      } catch (error) {
        const explain = () => explainDatabaseError(error, config.DATABASE_URL, config.SOURCE_DATABASE_URL)
        log.fatal(errorFields(error, explain), "a task cannot go on; its next attempt takes up its work")
        throw error
      }
    }),
  ).catch(() => EXIT_FAILED)
  await telemetry.close()
  return exitCode
}

async function runTask(
  config: WorkerConfig,
  task: TaskAttempt,
  log: Log,
  signal: AbortSignal,
  flush: () => Promise<void>,
): Promise<number> {
  const { RUN_ID: runId, DISPATCH: dispatch } = config
  const database = openDatabase({
    ...(await routeDatabase(config)),
    connectionsMax: CONNECTIONS_MAX,
    idleSecondsMax: IDLE_SECONDS_MAX,
    lockWaitSecondsMax: LOCK_WAIT_SECONDS_MAX,
  })
  const { db } = database
  const shopDatabase = await openSource(config, database, CONNECTIONS_MAX)
  const found = await retryTransient(`read run ${runId}`, () => findRun(db, runId), { log, signal })
  if (!found)
    throw new PermanentError(`there is no run ${runId} in the ledger: do planner and worker use one database?`)
  const run = { ...found, shop: openShop(config.SHOP_FILE) }

  // The first dispatch offers all: no need to ask.
  const readDispatch = () => findDispatch(db, runId, dispatch)
  const opened = dispatch === 0 ? run : await retryTransient("read the dispatch", readDispatch, { log, signal })
  const shardCount = opened?.shardCount ?? undefined
  const tasks = config.CLOUD_RUN_TASK_COUNT
  // While the planner still cuts, more shards come than there are.
  const countSoFar = () => countShards(db, runId)
  const shards = shardCount ?? (await retryTransient("count the shards", countSoFar, { log, signal }))

  let opening: Promise<GoogleClients> | undefined
  const google = () => (opening ??= import("./google-clients.ts").then((loaded) => loaded.openGoogleClients(config)))
  const items = openItemSource(google, runId, log)
  const itemsMax = countItemsAtOnce(shards, tasks)
  const isShared = shardCount === undefined || shards > tasks
  const gate = openClaimGate({ db, shopDb: shopDatabase.db, runId, throttle: readThrottle(config), flush, log, signal })
  const pace = measurePace()
  const work = claimItems({ db, runId, dispatch, task, items, itemsMax, isShared, gate, pace, signal, log })
  const context = {
    db,
    shopDb: shopDatabase.db,
    shopPool: shopDatabase.db === db ? undefined : shopDatabase.pool,
    google,
    log,
    run,
    task,
    pace,
    crashesMax: config.SHARD_CRASHES_MAX,
    signal,
  }
  // The process ends at SIGTERM whatever it is doing: its connection closes, and the database rolls back.
  const terminated = new Promise<"terminated">((resolve) =>
    signal.addEventListener("abort", () => resolve("terminated"), { once: true }),
  )
  const outcome = await Promise.race([performWork(context, work), terminated])
  if (outcome === "terminated" || signal.aborted) {
    log.warn("stopped before its work was done; the next attempt takes it up")
    return EXIT_TERMINATED
  }
  return 0
}

/**
 * How many work items a task takes at once: one of its share's eight parts, so that at the end no task waits for what
 * another has taken. With few shards for each task it is one, and then each is big enough for a call of its own.
 */
function countItemsAtOnce(shards: number, tasks: number): number {
  return Math.min(Math.max(1, Math.floor(shards / tasks / BATCHES_PER_TASK)), ITEMS_MAX)
}

const warmUp = () => import("./google-clients.ts").then((loaded) => loaded.warmUp())

if (import.meta.main) void runProcess(run, warmUp)
