import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startPubSub } from "../../../services/emulators/pubsub/server.ts"
import { startRunJobs } from "../../../services/emulators/run-jobs/server.ts"
import { startStorage } from "../../../services/emulators/storage/server.ts"
import type { Servers } from "./client.ts"

/** All three, for clients to be tried on. */
export async function startServers(): Promise<Servers & { stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "daybook-clients-"))
  const [pubsub, storage, runJobs] = await Promise.all([
    startPubSub(),
    startStorage({ folder: join(folder, "buckets") }),
    startRunJobs({
      folder: join(folder, "logs"),
      images: { hello: { command: ["/bin/echo", "hello"] }, slow: { command: ["/bin/sleep", "600"] } },
    }),
  ])
  return {
    pubsub: `127.0.0.1:${pubsub.port}`,
    storage: storage.url,
    run: `127.0.0.1:${runJobs.port}`,
    folder,
    stop: async () => {
      await Promise.all([pubsub.stop(), storage.stop(), runJobs.stop()])
      await rm(folder, { recursive: true, force: true })
    },
  }
}
