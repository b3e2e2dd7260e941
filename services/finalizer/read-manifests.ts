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
      const digits = /\/(0|[1-9]\d{0,8})\.json$/.exec(listed.path)?.[1]
      if (digits === undefined) {
        manifests.foreign.push(listed.path)
        return
      }
      const shard = done.get(Number(digits))
      const expected = shard && composeManifest(run, shard)
      if (expected && holdsText(listed, formatManifest(expected))) {
        manifests.byIndex.set(Number(digits), expected)
        return
      }
      const text = await readDocument(bucket, listed.path, options)
      if (text !== undefined) manifests.byIndex.set(Number(digits), parseManifest(text))
    },
    { concurrency: READS_AT_ONCE },
  )
  return manifests
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
