import { create } from "@bufbuild/protobuf"
import { type Manifest, ManifestSchema } from "../../../schemas/documents/manifest_pb.ts"
import { formatJson } from "../../../schemas/json.ts"
import { totalsFields } from "../../day/totals-fields.ts"
import type { Run } from "../runs/find-runs.ts"
import type { Shard } from "./find-shards.ts"
import { boundsOf } from "./shard-range.ts"
import { readTotals } from "./totals-columns.ts"

/** What the commit of a shard that is done wrote, from its ledger row alone: whoever composes it, it is the same. */
export function composeManifest(run: Run, shard: Shard): Manifest {
  const totals = readTotals(shard)
  return create(ManifestSchema, {
    runId: run.runId,
    date: run.revenueDate,
    version: run.version,
    dispatch: shard.dispatch,
    index: shard.shardIndex,
    ...boundsOf(shard),
    epoch: shard.epoch,
    ...(totals && totalsFields(totals)),
    checksum: shard.checksum ?? "0",
    execution: shard.execution ?? "",
    taskIndex: shard.taskIndex ?? 0,
    attempt: shard.attempt ?? 0,
    claimedAt: shard.claimedAt?.toISOString() ?? "",
    committedAt: shard.committedAt?.toISOString() ?? "",
  })
}

/** The text of a manifest in the bucket, to the byte. */
export function formatManifest(manifest: Manifest): string {
  return formatJson(ManifestSchema, manifest, 2)
}
