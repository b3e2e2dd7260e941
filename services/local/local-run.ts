import { resolve } from "node:path"
import { buildServices } from "../build/build-services.ts"
import { type Cloud, startCloud } from "./cloud.ts"
import { lockFolder } from "./folder-lock.ts"
import { formatExports } from "./format-exports.ts"
import type { LocalOptions } from "./local-options.ts"
import { createShop, hasShop } from "./shop/create-shop.ts"
import { describeEmulators, type EmulatorName, type Emulators, startEmulators } from "./start-emulators.ts"

const log = (line: string) => console.error(line)

/** Starts what is asked for, prints how to reach it, and ends it when the signal aborts. */
export async function runLocal(options: LocalOptions, signal: AbortSignal): Promise<void> {
  const running = options.only ? await startOnly(options, options.only) : await startAll(options, signal)
  try {
    for (const line of formatExports(running.env)) console.log(line)
    if (running.page) log(`The days are at ${running.page.url}`)
    log("The local cloud is up. Paste the lines above into another shell; Ctrl-C here ends it.")
    if (!signal.aborted) await new Promise((stopped) => signal.addEventListener("abort", stopped, { once: true }))
  } finally {
    await running.stop()
  }
}

interface Running {
  env: Record<string, string>
  page?: Cloud["page"]
  stop(): Promise<void>
}

async function startAll(options: LocalOptions, signal: AbortSignal): Promise<Running> {
  const cloud = await startCloud({
    folder: options.data,
    ports: {
      pubsub: options.portPubsub,
      storage: options.portStorage,
      run: options.portRun,
      database: options.portDatabase,
    },
    pagePort: options.portPage,
    keepState: true,
    parallelism: options.tasks,
    settings: options.set,
    log,
    signal,
    ...options.database,
  })
  try {
    if (options.shop) await ensureShop(cloud.env["DATABASE_URL"] ?? "", options)
    return cloud
  } catch (error) {
    await cloud.stop()
    throw error
  }
}

async function ensureShop(databaseUrl: string, options: LocalOptions): Promise<void> {
  if (await hasShop(databaseUrl)) return log("The database has a shop already, which is kept.")
  const { users, purchases, days, date } = options
  log(`Making a shop of ${users} users with ${purchases} purchases on its last day …`)
  const startedAt = performance.now()
  await createShop(databaseUrl, { users, purchases, days, ...(date ? { date } : {}) })
  log(`… took ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`)
}

/** Where images are named those alone are run, and nothing has to be built. */
async function findWorker({ image }: LocalOptions, only: EmulatorName[]): Promise<string[] | undefined> {
  if (!only.includes("run") || Object.keys(image).length > 0) return undefined
  return [process.execPath, (await buildServices()).worker]
}

/** As a shell reads it, with the arguments of the job after those that it has. */
const toCommand = (command: string) => ["/bin/sh", "-c", `exec ${command} "$@"`, command]

async function startOnly(options: LocalOptions, only: EmulatorName[]): Promise<Running> {
  const folder = resolve(options.data)
  const unlock = await lockFolder(folder, log)
  const started: Emulators = {}
  const stop = async () => {
    await Promise.all([started.pubsub?.stop(), started.storage?.stop(), started.runJobs?.stop()])
    await unlock()
  }
  try {
    await startEmulators(
      {
        folder,
        only,
        ports: { pubsub: options.portPubsub, storage: options.portStorage, run: options.portRun },
        host: options.host,
        keepState: true,
        images: Object.fromEntries(Object.entries(options.image).map(([name, command]) => [name, toCommand(command)])),
        secrets: options.secret,
        workerCommand: await findWorker(options, only),
        log,
      },
      started,
    )
    return { env: describeEmulators(started), stop }
  } catch (error) {
    await stop()
    throw error
  }
}
