import type { Bucket } from "@google-cloud/storage"
import { ManifestSchema } from "../../schemas/documents/manifest_pb.ts"
import { formatJson, parseJson } from "../../schemas/json.ts"
import { manifestPath } from "../../shared/document-paths.ts"
import { replaceDocument } from "../../shared/documents.ts"
import { StaleEpochError } from "../../shared/errors.ts"
import type { Run } from "../../shared/ledger/runs.ts"
import type { Shard } from "../../shared/ledger/shards.ts"
import type { RetryOptions } from "../../shared/retry.ts"

/**
 * Writes the manifest of a shard that is done, from its ledger row alone: whichever attempt writes it, it is the same
 * text. A manifest of an older epoch is replaced; a newer one stays, and StaleEpochError is thrown.
 */
export async function writeManifest(bucket: Bucket, run: Run, shard: Shard, options: RetryOptions): Promise<void> {
  const path = manifestPath(run.runId, shard.shardIndex)
  const isOlder = (existing: string) => parseJson(ManifestSchema, existing).epoch < shard.epoch
  const written = await replaceDocument(bucket, path, formatManifest(run, shard), isOlder, options)
  if (!written) throw new StaleEpochError(`a manifest newer than epoch ${shard.epoch} is at ${path}`)
}

function formatManifest(run: Run, shard: Shard): string {
  return formatJson(
    ManifestSchema,
    {
      runId: run.runId,
      date: run.revenueDate,
      version: run.version,
      dispatch: shard.dispatch,
      index: shard.shardIndex,
      ...(shard.rangeFrom === null ? {} : { from: shard.rangeFrom }),
      ...(shard.rangeTo === null ? {} : { to: shard.rangeTo }),
      epoch: shard.epoch,
      rows: shard.rowCount ?? 0n,
      purchases: shard.purchases ?? 0n,
      amountCents: shard.amountCents ?? "0",
      checksum: shard.checksum ?? "0",
      execution: shard.execution ?? "",
      taskIndex: shard.taskIndex ?? 0,
      attempt: shard.attempt ?? 0,
      claimedAt: shard.claimedAt?.toISOString() ?? "",
      committedAt: shard.committedAt?.toISOString() ?? "",
    },
    2,
  )
}
