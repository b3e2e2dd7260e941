import { StaleEpochError } from "../../shared/errors.ts"
import type { Shard } from "../../shared/ledger/shards/find-shards.ts"
import { inTraceSpan } from "../../shared/telemetry/tracing.ts"
import { sendReport } from "./send-report.ts"
import type { WorkContext } from "./work-context.ts"
import { writeManifest } from "./write-manifest.ts"

/** Writes the manifests of shards that are done, and reports them and those that have failed. */
export async function reportShards(context: WorkContext, shards: Shard[], startedAt: number): Promise<void> {
  const { log } = context
  const { reports } = await context.google()
  const written = await Promise.all(shards.map(async (shard) => ((await isWritten(context, shard)) ? [shard] : [])))
  await Promise.all(
    written.flat().map((shard) =>
      inTraceSpan(
        "send shard-reports",
        fieldsOf(shard),
        async () => {
          await sendReport(reports, shard, context)
          const ms = Math.round(performance.now() - startedAt)
          log.info({ purchases: shard.purchases?.toString(), ms }, "a shard is finished")
        },
        { kind: "producer" },
      ),
    ),
  )
}

/** False where a later claim has written a manifest already. */
async function isWritten(context: WorkContext, shard: Shard): Promise<boolean> {
  if (shard.state !== "done") return true
  const { bucket } = await context.google()
  return inTraceSpan("write manifest", fieldsOf(shard), async () => {
    try {
      await writeManifest(bucket, context.run, shard, context)
      return true
    } catch (error) {
      if (!(error instanceof StaleEpochError)) throw error
      context.log.warn({ error: error.message }, "a claim was taken over; nothing is written under it")
      return false
    }
  })
}

const fieldsOf = ({ dispatch, shardIndex: shard, epoch, state }: Shard) => ({ dispatch, shard, epoch, state })
