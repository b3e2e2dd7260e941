import { findShardAt } from "../../shared/ledger/shards/find-shards.ts"
import { claimLeft } from "./claim-left.ts"
import { claimOffered } from "./claim-offered.ts"
import { type ClaimContext, type ComputeWork, claimNew, queryLedger, type Work } from "./claim-work.ts"
import { ItemQueue } from "./item-queue.ts"

/**
 * Yields the work of one task in the order of the design: first what an earlier attempt of it left, then the shard at
 * the task's own index, then what is offered to all. Ends when the run is planned to its end and every shard of the
 * dispatch is claimed, or at the signal. Throws if the planner offers nothing for too long.
 */
export async function* claimItems(context: ClaimContext): AsyncGenerator<Work> {
  const { signal } = context
  // The first attempt has none before it; ten thousand tasks that all looked would read the whole dispatch each.
  if (context.task.attempt > 0) yield* claimLeft(context)
  if (signal.aborted) return
  const queue = new ItemQueue(context.items, context.itemsMax)
  // The client that pulls takes this process 0.1 s to load.
  const meanwhile = context.isShared ? () => queue.fetch() : context.items.open
  for (const own of await claimOwn(context)) yield { ...own, meanwhile }
  yield* claimOffered(context, queue)
}

/** The shard at the place of the dispatch that is the task's index, unless another task had it already. */
async function claimOwn(context: ClaimContext): Promise<ComputeWork[]> {
  const { db, runId, dispatch, task } = context
  const own = await queryLedger(context, "find the own shard", () => findShardAt(db, runId, dispatch, task.taskIndex))
  return own?.state === "offered" ? claimNew(context, own.dispatch, [own.shardIndex]) : []
}
