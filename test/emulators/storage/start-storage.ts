import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Bucket, Storage, type StorageOptions } from "@google-cloud/storage"
import { onTestFinished } from "vitest"
import { type Clock, systemClock } from "../../../services/emulators/clock.ts"
import { type StorageServer, startStorage } from "../../../services/emulators/storage/server.ts"

export interface RunningStorage {
  server: StorageServer
  folder: string
  bucket: Bucket
  /** A client of its own: some calls switch a client's retries off for good. */
  client: (options?: StorageOptions) => Storage
  /** Stops the server and starts another one on the same folder. */
  restart: () => Promise<RunningStorage>
}

/**
 * A server of the test's own with an empty bucket `shop`, gone when the test is finished.
 * A concurrent test passes its context's `onTestFinished`.
 */
export async function startTestStorage(onFinished = onTestFinished, clock = systemClock): Promise<RunningStorage> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-storage-"))
  onFinished(() => rm(folder, { recursive: true, force: true }))
  const running = await startOn(folder, onFinished, clock)
  await running.client().createBucket("shop")
  return running
}

async function startOn(folder: string, onFinished: typeof onTestFinished, clock: Clock): Promise<RunningStorage> {
  const server = await startStorage({ folder, clock })
  onFinished(() => server.stop())
  const client = (options?: StorageOptions) => connect(server.url, options)
  const restart = async () => {
    await server.stop()
    return startOn(folder, onFinished, clock)
  }
  return { server, folder, bucket: client().bucket("shop"), client, restart }
}

function connect(url: string, options: StorageOptions = {}): Storage {
  // Otherwise the client waits up to two seconds before its first retry.
  const retryOptions = { maxRetryDelay: 1 }
  return new Storage({ apiEndpoint: url, projectId: "test", retryOptions, ...options })
}
