import { mkdir } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { readShopFile } from "../../schemas/database/read-shop-file.ts"
import { describeError } from "../../shared/errors.ts"
import { buildServices } from "../build/build-services.ts"
import { type OrphanGuard, startOrphanGuard } from "../emulators/processes/orphan-guard.ts"
import type { PubSubServer } from "../emulators/pubsub/server.ts"
import { type PushSigner, startPushSigner } from "../emulators/push-token.ts"
import type { RunJobsServer } from "../emulators/run-jobs/server.ts"
import type { StorageServer } from "../emulators/storage/server.ts"
import { migrateDatabase } from "../migrate/migrate-database.ts"
import { applyTopology } from "../provision/apply-topology.ts"
import { describeTopology } from "../provision/topology.ts"
import type { ServerKind } from "./database/find-server.ts"
import { createScratchDatabase, ensureDatabase, type ScratchDatabase } from "./database/scratch-database.ts"
import { type DatabaseServer, type DatabaseServerOptions, startDatabaseServer } from "./database/start-server.ts"
import { lockFolder } from "./folder-lock.ts"
import { requireFreePort } from "./free-port.ts"
import { type ServiceProcess, startService } from "./service-process.ts"
import { describeEmulators, type EmulatorName, type Emulators, settleAll, startEmulators } from "./start-emulators.ts"
import { disconnectNotify, splitSettings, startNotify } from "./start-notify.ts"
import { type Sweeper, startSweeper } from "./sweeper.ts"
import { createWorkerJob, WORKER_JOB } from "./worker-job.ts"

/*
 * Daybook's cloud on one machine: Pub/Sub, Cloud Storage and Cloud Run Jobs in this process, a database, the planner and
 * the finalizer as processes beside it, the tasks of the worker as processes of Cloud Run.
 *
 * Where it differs from Google: each service has one instance, kept running and started again when it ends, and no
 * limits of memory or time; who pushes and sweeps proves it with a key of this cloud's own, the same to both services;
 * refused messages come again within seconds; nothing but the bucket, the logs and the private database outlives it, and
 * messages where `keepState` says so.
 */

export interface CloudOptions {
  /** Holds `bucket`, `logs` and the database's data; made if it does not exist. A later cloud may take it over. */
  folder: string
  /** A server to use instead of a private one; on it, a database is made and dropped in the end. */
  databaseUrl?: string
  /** Which private one: by default what DATABASE_SERVER says, else whichever is found. */
  databaseKind?: ServerKind | undefined
  /** Further options of a private one. */
  databaseOptions?: DatabaseServerOptions["serverOptions"]
  /** Where planner.cjs, worker.cjs and finalizer.cjs are, such as in the image; built unless given. */
  programsFolder?: string
  /** Fixed ports; what is not given, or 0, gets a free one. */
  ports?: Partial<Record<EmulatorName | "database", number>>
  /** Tasks of an execution that run at once; as many as processors by default. */
  parallelism?: number
  /** Tries of a task after the first; 10 by default, which is Cloud Run's most. */
  maxRetries?: number
  /** For one try of a task; 600 s by default. */
  taskTimeoutSeconds?: number
  /**
   * Further environment of services and tasks, such as SHARD_PURCHASES or REVENUE_TIME_ZONE. What begins with NOTIFY_ is the
   * notifier's alone, which runs where that is set.
   */
  settings?: Record<string, string>
  /** Deliveries of a message after which it is a dead letter; 30 by default, about two minutes. */
  deliveryAttemptsMax?: number
  /** Topics, subscriptions and messages are there again when a cloud is started on the folder. */
  keepState?: boolean
  /** The page of the days as well; on a port of its own, or any with 0. */
  pagePort?: number | undefined
  /** Between two sweeps; 5 by default, 0 for none. */
  sweepSeconds?: number
  /** What a service that keeps ending waits for at most before it is started again; 5,000 by default. */
  restartMaxMs?: number
  /** What happens, a line each. */
  log?: (line: string) => void
  /** Stops the cloud, or gives up starting it. */
  signal?: AbortSignal
}

export interface Cloud {
  /** What a client, or `npm run daybook`, needs in its environment. */
  env: Record<string, string>
  folder: string
  pubsub: PubSubServer
  storage: StorageServer
  runJobs: RunJobsServer
  /** Undefined if a `databaseUrl` was given. */
  databaseServer: DatabaseServer | undefined
  services: { planner: ServiceProcess; finalizer: ServiceProcess }
  /** Undefined unless a `pagePort` was given. */
  page: ServiceProcess | undefined
  /** Undefined unless settings say whom to notify. */
  notify: ServiceProcess | undefined
  /** Calls the finalizer's sweep now and waits for its end. */
  sweep(): Promise<void>
  /** Ends everything that was started; may be called again. */
  stop(): Promise<void>
}

const DATABASE = "daybook"
const PUSH_ACCOUNT = "daybook-push@local.iam.gserviceaccount.com"
const SCHEDULER_ACCOUNT = "daybook-scheduler@local.iam.gserviceaccount.com"
const AUDIENCE = "daybook"
const RETRIES_MAX = 10
const TASK_TIMEOUT_SECONDS = 600
const SWEEP_SECONDS = 5
// A person waits here: a message that was refused comes again soon, and a database may be away for a minute.
const RETRY = { minSeconds: 0.2, maxSeconds: 5 }
const DELIVERY_ATTEMPTS_MAX = 30

const buildFolder = fileURLToPath(new URL("../../.build", import.meta.url))

/** What was started so far; `stopAll` ends it. */
interface Started extends Emulators {
  unlock?: () => Promise<void>
  databaseServer?: DatabaseServer
  scratch?: ScratchDatabase
  guard?: OrphanGuard
  signer?: PushSigner
  planner?: ServiceProcess
  finalizer?: ServiceProcess
  page?: ServiceProcess
  notify?: ServiceProcess
  sweeper?: Sweeper
}

/** Starts all of it. When it fails, or the signal aborts, nothing is left of what it had started. */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const started: Started = {}
  let stopping: Promise<void> | undefined
  const stop = () => (stopping ??= stopAll(started))
  try {
    const cloud = { ...(await start({ ...options, folder: resolve(options.folder) }, started)), stop }
    options.signal?.throwIfAborted()
    const stopQuietly = () => void stop().catch((error: unknown) => options.log?.(describeError(error)))
    options.signal?.addEventListener("abort", stopQuietly, { once: true })
    return cloud
  } catch (error) {
    await stop().catch((failure: unknown) => options.log?.(describeError(failure)))
    throw error
  }
}

async function start(options: CloudOptions, started: Started): Promise<Omit<Cloud, "stop">> {
  const { folder, signal, log = () => {} } = options
  signal?.throwIfAborted()
  started.unlock = await lockFolder(folder, log)
  await mkdir(join(folder, "logs"), { recursive: true })
  const guard = startOrphanGuard()
  started.guard = guard
  const signer = await startPushSigner()
  started.signer = signer

  const programs = options.programsFolder ?? buildFolder
  const workerCommand = [process.execPath, join(programs, "worker.cjs")]
  const [, , databaseUrl] = await settleAll([
    options.programsFolder ? Promise.resolve() : buildServices(buildFolder),
    startEmulators(
      { folder, ports: options.ports ?? {}, keepState: options.keepState, workerCommand, pushTokens: signer.sign, log },
      started,
    ),
    startDatabase(options, started),
  ])
  signal?.throwIfAborted()

  const env: Record<string, string> = {
    ...describeEmulators(started),
    WORKER_JOB,
    DATABASE_URL: databaseUrl,
    // So that the command line can say where documents and logs are.
    LOCAL_FOLDER: folder,
  }
  const { forNotify, forOthers } = splitSettings(options.settings)
  const settings = { ...env, REVENUE_TIME_ZONE: "UTC", LOG_LEVEL: "info", ...forOthers }
  const surroundings = { programs, settings, signer, guard }
  const services = await startServices(options, surroundings, started)
  const page = options.pagePort === undefined ? undefined : await startPage(options, options.pagePort, surroundings)
  if (page) started.page = page
  const pageUrl: Record<string, string> = page ? { PAGE_URL: page.url } : {}
  const notify = await startNotify(programs, forNotify, {
    env: { ...findThings(), ...pushSettings(signer), ...pageUrl, ...settings },
    ...processOptions(options, "notify", guard),
  })
  if (notify) started.notify = notify
  await connectServices(options, env, { ...services, notify })
  const { pubsub, storage, runJobs, databaseServer } = started
  if (!pubsub || !storage || !runJobs) throw new Error("an emulator is missing")
  const sweeper = startSweeper({
    finalizerUrl: services.finalizer.url,
    token: () => signer.sign({ audience: AUDIENCE, serviceAccountEmail: SCHEDULER_ACCOUNT }),
    seconds: options.sweepSeconds ?? SWEEP_SECONDS,
    log,
  })
  started.sweeper = sweeper
  return {
    // So that the command line can send a sample.
    env: notify ? { ...env, ...pageUrl, ...forNotify } : env,
    folder,
    pubsub,
    storage,
    runJobs,
    databaseServer,
    services,
    page,
    notify,
    sweep: () => sweeper.sweep(),
  }
}

interface ServiceSurroundings {
  /** Where the programs are. */
  programs: string
  settings: Record<string, string>
  signer: PushSigner
  guard: OrphanGuard
}

/** Starts planner and finalizer, and creates the job of the worker. */
async function startServices(
  options: CloudOptions,
  { programs, settings, signer, guard }: ServiceSurroundings,
  started: Started,
): Promise<Cloud["services"]> {
  const startOne = async (name: "planner" | "finalizer") => {
    const service = await startService({
      name,
      command: [process.execPath, join(programs, `${name}.cjs`)],
      env: { ...findThings(), ...pushSettings(signer), ...settings },
      ...processOptions(options, name, guard),
    })
    started[name] = service
    return service
  }
  const [planner, finalizer] = await settleAll([
    startOne("planner"),
    startOne("finalizer"),
    createWorkerJob({
      runHost: settings["RUN_EMULATOR_HOST"] ?? "",
      env: settings,
      parallelism: options.parallelism ?? availableParallelism(),
      maxRetries: options.maxRetries ?? RETRIES_MAX,
      taskTimeoutSeconds: options.taskTimeoutSeconds ?? TASK_TIMEOUT_SECONDS,
    }),
  ])
  return { planner, finalizer }
}

/** The page on which anybody on this machine may ask for what they like. */
async function startPage(
  options: CloudOptions,
  port: number,
  { programs, settings, guard }: ServiceSurroundings,
): Promise<ServiceProcess> {
  if (port) await requireFreePort(port, "the page")
  return startService({
    name: "page",
    command: [process.execPath, join(programs, "page.cjs")],
    env: { ...findThings(), ...settings, PAGE_ACTIONS: "publish" },
    ...(port ? { port } : {}),
    ...processOptions(options, "page", guard),
  })
}

/** Whom a service of this cloud takes pushes from. */
function pushSettings(signer: PushSigner) {
  return {
    PUSH_AUDIENCE: AUDIENCE,
    PUSH_ACCOUNTS: `${PUSH_ACCOUNT} ${SCHEDULER_ACCOUNT}`,
    PUSH_CERTS_URL: signer.certsUrl,
  }
}

/** All that a program of ours sees of this machine's environment is where to find things. */
function findThings() {
  const { PATH = "", HOME = "" } = process.env
  return { PATH, HOME }
}

function processOptions(
  { folder, restartMaxMs, log = () => {}, signal }: CloudOptions,
  name: string,
  guard: OrphanGuard,
) {
  return { logFile: join(folder, "logs", `${name}.log`), guard, restartMaxMs, log, signal }
}

/** Creates topics and subscriptions, with pushes to the services. */
async function connectServices(
  options: CloudOptions,
  env: Record<string, string>,
  { planner, finalizer, notify }: Cloud["services"] & Pick<Cloud, "notify">,
): Promise<void> {
  const settings = { GOOGLE_CLOUD_PROJECT: "local", PUBSUB_EMULATOR_HOST: env["PUBSUB_EMULATOR_HOST"] }
  if (!notify && options.keepState) await disconnectNotify(settings)
  await applyTopology(
    settings,
    describeTopology({
      plannerUrl: planner.url,
      finalizerUrl: finalizer.url,
      ...(notify ? { notifyUrl: notify.url } : {}),
      pushServiceAccount: PUSH_ACCOUNT,
      pushAudience: AUDIENCE,
      retry: RETRY,
      deliveryAttemptsMax: options.deliveryAttemptsMax ?? DELIVERY_ATTEMPTS_MAX,
    }),
  )
}

/** Returns the URL of a migrated database. */
async function startDatabase(options: CloudOptions, started: Started): Promise<string> {
  let url: string
  if (options.databaseUrl === undefined) {
    const port = options.ports?.database
    if (port) await requireFreePort(port, "the database")
    // It is ended after those who use it, so its own signal is for its start only.
    const starting = new AbortController()
    const abort = () => starting.abort(options.signal?.reason)
    options.signal?.addEventListener("abort", abort, { once: true })
    started.databaseServer = await startDatabaseServer({
      folder: options.folder,
      kind: options.databaseKind,
      ...(options.databaseOptions ? { serverOptions: options.databaseOptions } : {}),
      signal: starting.signal,
      ...(port ? { port } : {}),
      ...(options.log ? { log: options.log } : {}),
    })
    options.signal?.removeEventListener("abort", abort)
    options.log?.(`${started.databaseServer.name} runs on port ${started.databaseServer.port}`)
    url = await ensureDatabase(started.databaseServer.url, DATABASE)
  } else {
    started.scratch = await createScratchDatabase(options.databaseUrl)
    url = started.scratch.url
  }
  await migrateDatabase(url, {}, { layout: readShopFile(options.settings?.["SHOP_FILE"] ?? process.env["SHOP_FILE"]) })
  return url
}

/** Who calls is ended before who is called. All are ended, whatever becomes of one; then the first failure is thrown. */
async function stopAll(started: Started): Promise<void> {
  const failures: unknown[] = []
  const stages: (() => Promise<void> | undefined)[][] = [
    [() => started.sweeper?.stop()],
    // Before Cloud Run: a planner that finds none tries again, for longer than it is given to stop.
    [
      () => started.planner?.stop(),
      () => started.finalizer?.stop(),
      () => started.page?.stop(),
      () => started.notify?.stop(),
    ],
    [() => started.runJobs?.stop()],
    [() => started.pubsub?.stop(), () => started.storage?.stop()],
    [
      () => started.scratch?.drop(),
      () => started.databaseServer?.stop(),
      () => started.guard?.stop(),
      () => started.signer?.stop(),
    ],
    [() => started.unlock?.()],
  ]
  for (const stage of stages) {
    const results = await Promise.allSettled(stage.map(async (stop) => stop()))
    for (const result of results) if (result.status === "rejected") failures.push(result.reason)
  }
  if (failures.length > 0) throw failures[0]
}
