import type { Bucket } from "@google-cloud/storage"
import { ManifestSchema } from "../../schemas/documents/manifest_pb.ts"
import { parseDocument } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { laterManifestPath, manifestPath } from "../../shared/documents/document-paths.ts"
import { replaceDocument } from "../../shared/documents/documents.ts"
import { StaleEpochError } from "../../shared/errors.ts"
import type { Run } from "../../shared/ledger/runs/find-runs.ts"
import { composeManifest, formatManifest } from "../../shared/ledger/shards/compose-manifest.ts"
import { findShard, type Shard } from "../../shared/ledger/shards/find-shards.ts"
import type { RetryOptions } from "../../shared/retry.ts"

export interface ManifestContext extends RetryOptions {
  db: Database
}

/**
 * Writes the manifest of a shard that is done, from its ledger row alone: whichever attempt writes it, it is the same
 * text. A manifest of an older epoch is replaced; a newer one stays, and StaleEpochError is thrown. Unless the ledger knows
 * of no newer claim: then the database has gone back in time, by a restore or a failover that lost commits, and what is in
 * the bucket is of a time that it does not know.
 */
export async function writeManifest(bucket: Bucket, run: Run, shard: Shard, context: ManifestContext): Promise<void> {
  const { shardIndex, epoch } = shard
  const path = manifestPath(run.runId, shardIndex)
  const paths = { path, beside: laterManifestPath(run.runId, shardIndex, epoch) }
  const isOlder = async (existing: string) => {
    if (parseDocument(ManifestSchema, existing).epoch < epoch) return true
    const known = await findShard(context.db, run.runId, shardIndex)
    if (known?.epoch !== epoch || known.state !== "done") return false
    context.log.warn({ path, epoch }, "a manifest is newer than the ledger, which went back in time, and is replaced")
    return true
  }
  const written = await replaceDocument(bucket, paths, formatManifest(composeManifest(run, shard)), isOlder, context)
  if (written === undefined) throw new StaleEpochError(`a manifest newer than epoch ${epoch} is at ${path}`)
}
