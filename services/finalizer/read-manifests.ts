import type { Bucket } from "@google-cloud/storage"
import pMap from "p-map"
import { type Manifest, ManifestSchema } from "../../schemas/documents/manifest_pb.ts"
import { MalformedError, parseDocument } from "../../schemas/json.ts"
import { parseTotals } from "../../shared/day/totals.ts"
import { composeManifest, formatManifest } from "../../shared/documents/compose-manifest.ts"
import { manifestFolder } from "../../shared/documents/document-paths.ts"
import { holdsText, listDocuments, readDocument } from "../../shared/documents/documents.ts"
import type { Run } from "../../shared/ledger/find-runs.ts"
import type { Shard } from "../../shared/ledger/find-shards.ts"
import { parseRange } from "../../shared/range.ts"
import type { RetryOptions } from "../../shared/retry.ts"

// Small documents: the time goes into round trips. More at once would not be answered faster.
const READS_AT_ONCE = 32

/** What is in the folder of a run's manifests. */
export interface Manifests {
  /** By the index in the document's name; a text that is no manifest is told as a string. */
  byIndex: Map<number, Manifest | string>
  /** Names that no shard of any run could have. */
  foreign: string[]
}

/**
 * Looks at every manifest of a run. The listing has their hashes, a thousand to a request: one that hashes as the
 * manifest of its shard must is known to the byte without being read, and only the others are.
 */
export async function readManifests(
  bucket: Bucket,
  run: Run,
  shards: Shard[],
  options: RetryOptions,
): Promise<Manifests> {
  const done = new Map(shards.filter(({ state }) => state === "done").map((shard) => [shard.shardIndex, shard]))
  const manifests: Manifests = { byIndex: new Map(), foreign: [] }
  await pMap(
    await listDocuments(bucket, manifestFolder(run.runId), options),
    async (listed) => {
      const [, digits, epoch] = /\/(0|[1-9]\d{0,8})(?:-(\d{1,9}))?\.json$/.exec(listed.path) ?? []
      if (digits === undefined) {
        manifests.foreign.push(listed.path)
        return
      }
      const index = Number(digits)
      const shard = done.get(index)
      // Beside one that could not be replaced: only that of the newest claim says anything.
      if (epoch !== undefined && Number(epoch) !== shard?.epoch) return
      const expected = shard && composeManifest(run, shard)
      const manifest =
        expected && holdsText(listed, formatManifest(expected)) ? expected : await read(bucket, listed.path, options)
      if (manifest !== undefined && (epoch !== undefined || !manifests.byIndex.has(index))) {
        manifests.byIndex.set(index, manifest)
      }
    },
    { concurrency: READS_AT_ONCE },
  )
  return manifests
}

async function read(bucket: Bucket, path: string, options: RetryOptions): Promise<Manifest | string | undefined> {
  const text = await readDocument(bucket, path, options)
  return text === undefined ? undefined : parseManifest(text)
}

function parseManifest(text: string): Manifest | string {
  try {
    const manifest = parseDocument(ManifestSchema, text)
    parseRange(manifest)
    parseTotals(manifest)
    BigInt(manifest.checksum)
    return manifest
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    if (error instanceof SyntaxError || error instanceof RangeError) return `${error.message}: a number was expected`
    throw error
  }
}
