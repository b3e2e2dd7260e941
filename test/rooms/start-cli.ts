import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { PubSub } from "@google-cloud/pubsub"
import type { Bucket } from "@google-cloud/storage"
import { expect, vi } from "vitest"
import { runDaybook } from "../../services/cli/daybook.ts"
import { type PubSubServer, startPubSub } from "../../services/emulators/pubsub/server.ts"
import { type StorageServer, startStorage } from "../../services/emulators/storage/server.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { topics } from "../../shared/messages/topics.ts"
import { createTestDatabase, type TestDatabase } from "./test-database.ts"

export interface Cli {
  database: TestDatabase
  bucket: Bucket
  storageFaults: StorageServer["faults"]
  env: Record<string, string>
  /** Types a command line. */
  daybook(...args: string[]): Typed
  /** Waits until this many messages are published to a topic since the test began, and returns the last. */
  published(topic: string, count?: number): Promise<{ messageId: string; data: unknown }>
  stop(): Promise<void>
}

/** A command that runs; settles when it ends. */
export interface Typed extends Promise<{ code: number; stdout: string; stderr: string }> {
  /** What it has printed so far. */
  seen(): { stdout: string; stderr: string }
  interrupt(): void
}

/** The cloud that the command line talks to; the test itself plays planner, worker and finalizer on the ledger. */
export async function startCli(): Promise<Cli> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-cli-"))
  const database = await createTestDatabase()
  const pubsubServer: PubSubServer = await startPubSub()
  const storageServer: StorageServer = await startStorage({ folder })
  const env = {
    DATABASE_URL: database.url,
    GOOGLE_CLOUD_PROJECT: "local",
    PUBSUB_EMULATOR_HOST: `127.0.0.1:${pubsubServer.port}`,
    STORAGE_EMULATOR_HOST: storageServer.url,
    BUCKET: "daybook",
  }
  const pubsub: PubSub = openPubSub(env)
  await pubsub.createTopic(topics.runRequests)
  await pubsub.createTopic(topics.rerunRequests)
  await pubsub.createTopic(topics.auditRequests)
  await pubsub.createTopic(topics.backfillRequests)
  const bucket = openBucket(env)
  await bucket.storage.createBucket(env.BUCKET)
  const messagesOf = (topic: string) => pubsubServer.messages(`projects/local/topics/${topic}`)

  return {
    database,
    bucket,
    storageFaults: storageServer.faults,
    env,
    daybook: (...args) => typeCommand(args, env),
    async published(topic, count = 1) {
      return vi.waitFor(() => {
        const message = messagesOf(topic)[count - 1]
        expect(message).toBeDefined()
        const { messageId, data } = message as { messageId: string; data: Uint8Array }
        return { messageId, data: JSON.parse(Buffer.from(data).toString()) as unknown }
      }, WAIT)
    },
    async stop() {
      await pubsub.close()
      await pubsubServer.stop()
      await storageServer.stop()
      await database.drop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** For conditions: generous, so that only a hang fails. */
export const WAIT = { timeout: 30_000, interval: 10 }

export function typeCommand(args: string[], env: NodeJS.ProcessEnv): Typed {
  const printed = { stdout: "", stderr: "" }
  const interrupted = new AbortController()
  const ended = runDaybook(args, {
    env,
    stdout: { write: (text) => (printed.stdout += text) },
    stderr: { write: (text) => (printed.stderr += text) },
    signal: interrupted.signal,
  }).then((code) => ({ code, ...printed }))
  return Object.assign(ended, { seen: () => printed, interrupt: () => interrupted.abort() })
}
