import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Bucket } from "@google-cloud/storage"
import { pino } from "pino"
import { afterAll, beforeAll, expect, test } from "vitest"
import { plainShop } from "../../../schemas/database/shop.ts"
import { type StorageServer, startStorage } from "../../../services/emulators/storage/server.ts"
import { listManifests, readManifests } from "../../../services/finalizer/proof/read-manifests.ts"
import { manifestFolder, manifestPath } from "../../../shared/documents/document-paths.ts"
import { openBucket } from "../../../shared/google/open-bucket.ts"
import type { Run } from "../../../shared/ledger/runs/find-runs.ts"
import { composeManifest, formatManifest } from "../../../shared/ledger/shards/compose-manifest.ts"
import type { Shard } from "../../../shared/ledger/shards/find-shards.ts"

const run = { runId: "2026-11-22-1", revenueDate: "2026-11-22", version: 1 } as Run
const shards = [0, 1, 2].map(
  (shardIndex) =>
    ({
      runId: run.runId,
      shardIndex,
      state: "done",
      epoch: 1,
      dispatch: 0,
      rangeFrom: null,
      rangeTo: null,
      rowCount: 5n,
      purchases: 7n,
      amountCents: null,
      parts: null,
    }) as Shard,
)
const options = { log: pino({ level: "silent" }) }

let storage: StorageServer
let bucket: Bucket
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "daybook-manifests-"))
  storage = await startStorage({ folder })
  bucket = openBucket({ BUCKET: "manifests", STORAGE_EMULATOR_HOST: storage.url })
  await bucket.create()
})
afterAll(async () => {
  await storage.stop()
  await rm(folder, { recursive: true, force: true })
})

test("a manifest that is what it must be is known by its hash; only what differs is read", async () => {
  const write = (path: string, text: string) => bucket.file(path).save(text, { resumable: false })
  const [right, changed] = shards.map((shard) => composeManifest(run, shard))
  if (!right || !changed) throw new Error("two shards")
  await write(manifestPath(run.runId, 0), formatManifest(right))
  await write(manifestPath(run.runId, 1), formatManifest({ ...changed, purchases: 8n }))
  await write(manifestPath(run.runId, 2), "{")
  await write(`${manifestFolder(run.runId)}notes.txt`, "a stranger's")
  const read: string[] = []
  const stop = storage.faults.add({
    matches: (call) => call.method === "storage.objects.get",
    before: (call) => void read.push(call.resource),
  })
  const listed = await listManifests(bucket, run, options)
  const manifests = await readManifests(bucket, { ...run, shop: plainShop }, shards, listed, options)
  stop()

  expect(manifests.get(0)).toEqual(right)
  expect(manifests.get(1)).toMatchObject({ index: 1, purchases: 8n })
  expect(manifests.get(2)).toMatch(/not JSON/)
  expect(listed.foreign).toEqual([`${manifestFolder(run.runId)}notes.txt`])
  expect(read.map((path) => path.slice(path.lastIndexOf("/") + 1)).toSorted()).toEqual(["1.json", "2.json"])
})
