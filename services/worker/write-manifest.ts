import type { Bucket } from "@google-cloud/storage"
import { ManifestSchema } from "../../schemas/documents/manifest_pb.ts"
import { parseDocument } from "../../schemas/json.ts"
import { composeManifest, formatManifest } from "../../shared/documents/compose-manifest.ts"
import { laterManifestPath, manifestPath } from "../../shared/documents/document-paths.ts"
import { replaceDocument } from "../../shared/documents/documents.ts"
import { StaleEpochError } from "../../shared/errors.ts"
import type { Run } from "../../shared/ledger/find-runs.ts"
import type { Shard } from "../../shared/ledger/find-shards.ts"
import type { RetryOptions } from "../../shared/retry.ts"

/**
 * Writes the manifest of a shard that is done, from its ledger row alone: whichever attempt writes it, it is the same
 * text. A manifest of an older epoch is replaced; a newer one stays, and StaleEpochError is thrown.
 */
export async function writeManifest(bucket: Bucket, run: Run, shard: Shard, options: RetryOptions): Promise<void> {
  const { shardIndex, epoch } = shard
  const path = manifestPath(run.runId, shardIndex)
  const paths = { path, beside: laterManifestPath(run.runId, shardIndex, epoch) }
  const isOlder = (existing: string) => parseDocument(ManifestSchema, existing).epoch < epoch
  const written = await replaceDocument(bucket, paths, formatManifest(composeManifest(run, shard)), isOlder, options)
  if (written === undefined) throw new StaleEpochError(`a manifest newer than epoch ${epoch} is at ${path}`)
}
