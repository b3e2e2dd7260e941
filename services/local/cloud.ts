import { mkdir } from "node:fs/promises"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { describeError } from "../../shared/errors.ts"
import { buildServices } from "../build/build-services.ts"
import { type OrphanGuard, startOrphanGuard } from "../emulators/processes/orphan-guard.ts"
import type { PubSubServer } from "../emulators/pubsub/server.ts"
import { type PushSigner, startPushSigner } from "../emulators/push-token.ts"
import type { RunJobsServer } from "../emulators/run-jobs/server.ts"
import type { StorageServer } from "../emulators/storage/server.ts"
import type { CloudOptions } from "./cloud-options.ts"
import type { DatabaseServer } from "./database/start-server.ts"
import { lockFolder } from "./folder-lock.ts"
import type { ServiceProcess } from "./service-process.ts"
import { type StartedDatabase, startDatabase } from "./start-database.ts"
import { describeEmulators, type Emulators, settleAll, startEmulators } from "./start-emulators.ts"
import { splitSettings } from "./start-notify.ts"
import {
  type CallableServices,
  connectServices,
  type StartedServices,
  signSchedulerToken,
  startNotifier,
  startPage,
  startServices,
} from "./start-services.ts"
import { type Sweeper, startSweeper } from "./sweeper.ts"
import { WORKER_JOB } from "./worker-job.ts"

/*
 * Daybook's cloud on one machine: Pub/Sub, Cloud Storage and Cloud Run Jobs in this process, a database, the planner and
 * the finalizer as processes beside it, the tasks of the worker as processes of Cloud Run.
 *
 * Where it differs from Google: each service has one instance, kept running and started again when it ends, and no
 * limits of memory or time; who pushes and sweeps proves it with a key of this cloud's own, the same to both services;
 * refused messages come again within seconds; nothing but the bucket, the logs and the private database outlives it, and
 * messages where `keepState` says so.
 */

export interface Cloud {
  /** What a client, or `npm run daybook`, needs in its environment. */
  env: Record<string, string>
  folder: string
  pubsub: PubSubServer
  storage: StorageServer
  runJobs: RunJobsServer
  /** Undefined if a `databaseUrl` was given. */
  databaseServer: DatabaseServer | undefined
  services: CallableServices
  /** Undefined unless a `pagePort` was given. */
  page: ServiceProcess | undefined
  /** Undefined unless settings say whom to notify. */
  notify: ServiceProcess | undefined
  /** Calls the finalizer's sweep now and waits for its end. */
  sweep(): Promise<void>
  /** Ends everything that was started; may be called again. */
  stop(): Promise<void>
}

const SWEEP_SECONDS = 5

const buildFolder = fileURLToPath(new URL("../../.build", import.meta.url))

/** What was started so far; `stopAll` ends it. */
interface Started extends Emulators, StartedDatabase, StartedServices {
  unlock?: () => Promise<void>
  guard?: OrphanGuard
  signer?: PushSigner
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
  const notify = await startNotifier(options, forNotify, pageUrl, surroundings)
  if (notify) started.notify = notify
  await connectServices(options, env, { ...services, notify })
  const { pubsub, storage, runJobs, databaseServer } = started
  if (!pubsub || !storage || !runJobs) throw new Error("an emulator is missing")
  const sweeper = startSweeper({
    finalizerUrl: services.finalizer.url,
    token: () => signSchedulerToken(signer),
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
