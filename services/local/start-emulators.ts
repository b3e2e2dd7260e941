import { mkdir } from "node:fs/promises"
import { join } from "node:path"
import { type PubSubOptions, type PubSubServer, startPubSub } from "../emulators/pubsub/server.ts"
import { type RunJobsServer, startRunJobs } from "../emulators/run-jobs/server.ts"
import { type StorageServer, startStorage } from "../emulators/storage/server.ts"
import { requireFreePort } from "./free-port.ts"
import { WORKER_IMAGE } from "./worker-job.ts"

/** The servers that stand for Google's. */
export interface Emulators {
  pubsub?: PubSubServer
  storage?: StorageServer
  runJobs?: RunJobsServer
}

export type EmulatorName = "pubsub" | "storage" | "run"
const emulatorNames: readonly EmulatorName[] = ["pubsub", "storage", "run"]

export interface EmulatorOptions {
  /** Holds `bucket`, with the buckets, and `logs`, of the tasks. */
  folder: string
  only?: readonly EmulatorName[]
  /** What is not given, or 0, gets a free one. */
  ports?: Partial<Record<EmulatorName, number>>
  /** Topics, subscriptions and messages, and with `only` jobs, are there again after a restart. */
  keepState?: boolean | undefined
  /** The address to listen on; by default this machine alone can reach it. */
  host?: string | undefined
  /** Further images, by name, and what each runs: the program and its arguments. */
  images?: Record<string, string[]> | undefined
  /** Values of secrets for jobs, by name. */
  secrets?: Record<string, string> | undefined
  /** What runs a task of the worker: the program and its arguments. */
  workerCommand?: string[] | undefined
  /** Makes the tokens of push subscriptions that have an identity; by default Pub/Sub does, with a key that it shows. */
  pushTokens?: PubSubOptions["pushTokens"]
  log: (line: string) => void
}

const BUCKET = "daybook"
const PROJECT = "local"

/**
 * Starts the servers at once. Each is put into `started` as soon as it runs, so that it can be stopped whatever becomes
 * of the others.
 */
export async function startEmulators(options: EmulatorOptions, started: Emulators): Promise<void> {
  await mkdir(options.folder, { recursive: true })
  const { folder, ports = {}, host, log } = options
  const starts: Record<EmulatorName, () => Promise<void>> = {
    pubsub: async () => {
      started.pubsub = await startPubSub({
        port: await checkPort(ports.pubsub, "Pub/Sub"),
        host,
        stateFile: options.keepState ? join(folder, "pubsub.json") : undefined,
        ...(options.pushTokens ? { pushTokens: options.pushTokens } : {}),
        log: (message, fields) => log(`Pub/Sub: ${message} ${JSON.stringify(fields)}`),
      })
    },
    storage: async () => {
      const port = await checkPort(ports.storage, "Cloud Storage")
      started.storage = await startStorage({ port, host, folder: join(folder, "bucket") })
      await createBucket(started.storage)
    },
    run: async () => {
      started.runJobs = await startRunJobs({
        port: await checkPort(ports.run, "Cloud Run"),
        host,
        // The whole cloud makes its job anew each time.
        stateFile: options.keepState && options.only ? join(folder, "jobs.json") : undefined,
        folder: join(folder, "logs"),
        images: readImages(options),
        secrets: options.secrets,
      })
    },
  }
  await settleAll((options.only ?? emulatorNames).map((name) => starts[name]()))
}

function readImages({ workerCommand, images = {} }: EmulatorOptions): Record<string, { command: string[] }> {
  const all = { ...(workerCommand ? { [WORKER_IMAGE]: workerCommand } : {}), ...images }
  return Object.fromEntries(Object.entries(all).map(([name, command]) => [name, { command }]))
}

/** What a client, or gcloud, needs in its environment to talk to them. */
export function describeEmulators({ pubsub, storage, runJobs }: Emulators): Record<string, string> {
  return {
    GOOGLE_CLOUD_PROJECT: PROJECT,
    CLOUDSDK_CORE_PROJECT: PROJECT,
    // gcloud has no account here, and needs none.
    CLOUDSDK_AUTH_DISABLE_CREDENTIALS: "true",
    // Google's clients look for a metadata server even then, which takes seconds where there is none.
    METADATA_SERVER_DETECTION: "none",
    ...(pubsub
      ? {
          PUBSUB_EMULATOR_HOST: `127.0.0.1:${pubsub.port}`,
          CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB: `http://127.0.0.1:${pubsub.port}/`,
          // Where a service that is pushed to finds the key of the tokens.
          ...(pubsub.certsUrl === undefined ? {} : { PUSH_CERTS_URL: pubsub.certsUrl }),
        }
      : {}),
    ...(storage
      ? {
          STORAGE_EMULATOR_HOST: storage.url,
          BUCKET,
          CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${storage.url}/storage/v1/`,
        }
      : {}),
    ...(runJobs ? { RUN_EMULATOR_HOST: `127.0.0.1:${runJobs.port}` } : {}),
  }
}

/** Like Promise.all, but nothing is under way any more when it fails. */
export async function settleAll<const Promises extends readonly Promise<unknown>[]>(promises: Promises) {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}

async function checkPort(port: number | undefined, what: string): Promise<number> {
  if (port) await requireFreePort(port, what)
  return port ?? 0
}

/** An earlier cloud on this folder may have made it. Without a client: that would go where the environment says. */
async function createBucket({ url }: StorageServer): Promise<void> {
  const body = JSON.stringify({ name: BUCKET })
  const answer = await fetch(`${url}/storage/v1/b?project=${PROJECT}`, { method: "POST", body })
  if (!answer.ok && answer.status !== 409)
    throw new Error(`the bucket ${BUCKET} cannot be made: ${await answer.text()}`)
}
