import type { Database } from "../../shared/database.ts"
import {
  claimShard,
  findOfferedShard,
  findShardAt,
  listLeftShards,
  type Shard,
  type TaskAttempt,
} from "../../shared/ledger/shards.ts"
import type { Log } from "../../shared/log.ts"
import { retryTransient } from "../../shared/retry.ts"
import type { PulledItem } from "./pull-item.ts"

/** What a task is to do next with a shard. */
export type Work =
  /** Claimed: compute it. */
  | { kind: "compute"; shard: Shard }
  /** Done or failed by an earlier attempt, which may not have said so: write its manifest and report it. */
  | { kind: "report"; shard: Shard }

export interface ClaimContext {
  db: Database
  runId: string
  dispatch: number
  task: TaskAttempt
  /** Takes one work item from the run's subscription; undefined if none came. */
  pullItem: () => Promise<PulledItem | undefined>
  log: Log
  signal: AbortSignal
}

/**
 * Yields the work of one task in the order of the design: first what an earlier attempt of it left, then the shard at
 * the task's own index, then whatever the subscription offers, and last what the ledger knows to be offered though no
 * message came: a message may be with a task that has died, or was never sent. Ends when every shard of the dispatch
 * is claimed, or at the signal.
 */
export async function* claimItems(context: ClaimContext): AsyncGenerator<Work> {
  const { db, runId, dispatch, task, signal } = context
  const ask = <T>(what: string, call: () => Promise<T>) => retryTransient(`${what} of run ${runId}`, call, context)

  // The first attempt has none before it; ten thousand tasks that all looked would read the whole dispatch each.
  const isFirst = task.attempt === 0
  for (const left of isFirst ? [] : await ask("list shards left", () => listLeftShards(db, runId, dispatch, task))) {
    if (signal.aborted) return
    if (left.state !== "claimed") yield { kind: "report", shard: left }
    else yield* claim(context, left)
  }
  const own = await ask("find the own shard", () => findShardAt(db, runId, dispatch, task.taskIndex))
  if (own?.state === "offered" && !signal.aborted) yield* claim(context, own)

  while (!signal.aborted) {
    const offered = await ask("find an offered shard", () => findOfferedShard(db, runId, dispatch))
    if (!offered) return
    const item = await context.pullItem()
    if (signal.aborted) return
    if (!item) {
      yield* claim(context, offered)
      continue
    }
    // An item of an older dispatch finds no shard to claim: what it offered was finished, or is offered anew.
    const { index: shardIndex } = item
    const claimed = await ask("claim a shard", () =>
      claimShard(db, { runId, shardIndex, dispatch: item.dispatch }, task),
    )
    // Settled either way. Not before: an item that is acknowledged and not claimed would be offered to nobody.
    await item.acknowledge()
    if (claimed) yield { kind: "compute", shard: claimed }
  }
}

async function* claim(context: ClaimContext, shard: Shard): AsyncGenerator<Work> {
  const call = () => claimShard(context.db, shard, context.task)
  const claimed = await retryTransient(`claim shard ${shard.shardIndex} of run ${shard.runId}`, call, context)
  if (claimed) yield { kind: "compute", shard: claimed }
}
