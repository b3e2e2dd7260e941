import type { Bucket } from "@google-cloud/storage"
import pMap from "p-map"
import type { Shop } from "../../../schemas/database/shop.ts"
import { type Manifest, ManifestSchema } from "../../../schemas/documents/manifest_pb.ts"
import { MalformedError, parseDocument } from "../../../schemas/json.ts"
import { parseTotals } from "../../../shared/day/totals-fields.ts"
import { manifestFolder } from "../../../shared/documents/document-paths.ts"
import { eachDocument, holdsText, type ListedDocument, readDocument } from "../../../shared/documents/documents.ts"
import type { Run, ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { composeManifest, formatManifest } from "../../../shared/ledger/shards/compose-manifest.ts"
import type { Shard } from "../../../shared/ledger/shards/find-shards.ts"
import { parseRange } from "../../../shared/range.ts"
import type { RetryOptions } from "../../../shared/retry.ts"

// Small documents: the time goes into round trips. More at once would not be answered faster.
const READS_AT_ONCE = 32

/** What is in the folder of a run's manifests, by name alone. */
export interface ListedManifests {
  /** By the index in the document's name. */
  byIndex: Map<number, ListedDocument>
  /** Those beside one that could not be replaced, by index and epoch: see `laterKey`. */
  later: Map<string, ListedDocument>
  /** Names that no shard of any run could have. */
  foreign: string[]
}

const laterKey = (index: number, epoch: number) => `${index}-${epoch}`

/** Lists every manifest of a run, a thousand to a request, with their hashes. */
export async function listManifests(bucket: Bucket, run: Run, options: RetryOptions): Promise<ListedManifests> {
  const manifests: ListedManifests = { byIndex: new Map(), later: new Map(), foreign: [] }
  for await (const listed of eachDocument(bucket, manifestFolder(run.runId), options)) {
    const [, index, epoch] = /\/(0|[1-9]\d{0,8})(?:-(\d{1,9}))?\.json$/.exec(listed.path) ?? []
    if (index === undefined) manifests.foreign.push(listed.path)
    else if (epoch === undefined) manifests.byIndex.set(Number(index), listed)
    else manifests.later.set(laterKey(Number(index), Number(epoch)), listed)
  }
  return manifests
}

/**
 * Looks at the manifests of shards that are done, and returns them by index; a text that is no manifest is told as a string.
 * One that hashes as the manifest of its shard must is known to the byte without being read, and only the others are.
 */
export async function readManifests(
  bucket: Bucket,
  run: ShopRun,
  shards: Shard[],
  { byIndex, later }: ListedManifests,
  options: RetryOptions,
): Promise<Map<number, Manifest | string>> {
  const manifests = new Map<number, Manifest | string>()
  const look = async (shard: Shard) => {
    const { shardIndex: index, epoch } = shard
    // Beside one that could not be replaced, that of the newest claim is the one that counts.
    for (const listed of [later.get(laterKey(index, epoch)), byIndex.get(index)]) {
      if (!listed || manifests.has(index)) continue
      const expected = composeManifest(run, shard)
      const isExpected = holdsText(listed, formatManifest(expected))
      const manifest = isExpected ? expected : await read(bucket, run.shop, listed.path, options)
      if (manifest !== undefined) manifests.set(index, manifest)
    }
  }
  await pMap(
    shards.filter(({ state }) => state === "done"),
    look,
    { concurrency: READS_AT_ONCE },
  )
  return manifests
}

async function read(
  bucket: Bucket,
  shop: Shop,
  path: string,
  options: RetryOptions,
): Promise<Manifest | string | undefined> {
  const text = await readDocument(bucket, path, options)
  return text === undefined ? undefined : parseManifest(shop, text)
}

function parseManifest({ layout }: Shop, text: string): Manifest | string {
  try {
    const manifest = parseDocument(ManifestSchema, text)
    parseRange(layout.userType, manifest)
    parseTotals(manifest)
    BigInt(manifest.checksum)
    return manifest
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    if (error instanceof SyntaxError || error instanceof RangeError) return `${error.message}: a number was expected`
    throw error
  }
}
