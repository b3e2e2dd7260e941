import { setTimeout as wait } from "node:timers/promises"
import type { Database } from "../../shared/database.ts"
import { findRun } from "../../shared/ledger/runs.ts"
import {
  type Claim,
  claimShard,
  findOfferedShard,
  findShard,
  findShardAt,
  listLeftShards,
  type Shard,
  type TaskAttempt,
} from "../../shared/ledger/shards.ts"
import type { Log } from "../../shared/log.ts"
import { retryTransient } from "../../shared/retry.ts"
import type { ItemSource, PulledItem } from "./pull-item.ts"

/** What a task is to do next with a shard. */
export type Work =
  /** Claimed: compute it. `crashes` is how often an attempt has died with it. */
  | { kind: "compute"; claim: Claim; crashes: number }
  /** Done or failed by an earlier attempt, which may not have said so: write its manifest and report it. */
  | { kind: "report"; claim: Claim }

// How long a planner may take to cut one shard, or to come back after its death: what Pub/Sub allows a push. A task that
// waits for longer ends and is tried again.
const PLAN_WAIT_MS = 10 * 60_000

// Between two looks at a plan that does not grow, should Pub/Sub answer at once that there is nothing.
const PLAN_POLL_MS = 100

type ShardOfDispatch = Pick<Shard, "runId" | "shardIndex" | "dispatch">

export interface ClaimContext {
  db: Database
  runId: string
  dispatch: number
  task: TaskAttempt
  /** The run's subscription. */
  items: ItemSource
  /** Work items to take from it at once. */
  itemsMax: number
  /** Whether there are more shards than tasks: else each is some task's own, and the subscription need not be asked. */
  isShared: boolean
  log: Log
  signal: AbortSignal
}

/**
 * Yields the work of one task in the order of the design: first what an earlier attempt of it left, then the shard at
 * the task's own index, then whatever the subscription offers, and last what the ledger knows to be offered though no
 * message came: a message may be with a task that has died, or was never sent. Ends when the run is planned to its end
 * and every shard of the dispatch is claimed, or at the signal. Throws if the planner is silent for too long.
 */
export async function* claimItems(context: ClaimContext): AsyncGenerator<Work> {
  const { db, runId, dispatch, task, items, itemsMax, signal } = context
  const ask = <T>(what: string, call: () => Promise<T>) => retryTransient(`${what} of run ${runId}`, call, context)

  const claim = (shard: ShardOfDispatch) => ask(`claim shard ${shard.shardIndex}`, () => claimShard(db, shard, task))

  // The first attempt has none before it; ten thousand tasks that all looked would read the whole dispatch each.
  const isFirst = task.attempt === 0
  for (const left of isFirst ? [] : await ask("list shards left", () => listLeftShards(db, runId, dispatch, task))) {
    if (signal.aborted) return
    if (left.state !== "claimed") {
      yield { kind: "report", claim: left }
      continue
    }
    const claimed = await claim(left)
    const shard = claimed && (await ask("read a shard", () => findShard(db, runId, left.shardIndex)))
    if (claimed) yield { kind: "compute", claim: claimed, crashes: shard?.crashes ?? 0 }
  }

  const claimNew = async (shard: ShardOfDispatch): Promise<Work[]> => {
    const claimed = await claim(shard)
    // Nobody has had it in this dispatch: what is offered, or offered anew, has no crashes.
    return claimed ? [{ kind: "compute", claim: claimed, crashes: 0 }] : []
  }
  const findOffered = () => findOfferedShard(db, runId, dispatch)
  const own = await ask("find the own shard", () => findShardAt(db, runId, dispatch, task.taskIndex))
  const first = own?.state === "offered" && !signal.aborted ? await claimNew(own) : []

  // The next items come while the ones before are computed.
  const pull = () => {
    const pulling = items.pull(itemsMax)
    pulling.catch(() => undefined) // whoever waits for it later finds its failure then
    return pulling
  }
  let pulling = context.isShared ? pull() : undefined
  yield* first
  let acknowledged: Promise<unknown> = Promise.resolve()
  let isWhole = false
  let claimedAt = performance.now()
  while (!signal.aborted) {
    if (!(await isSettled(pulling))) {
      // Asked in this order: the last shard is offered in the transaction that ends the planning.
      const isEnd = await isPlanWhole()
      // Nothing is left to claim, and nothing will come.
      if (isEnd && !(await ask("find an offered shard", findOffered))) break
    }
    const pulled = await (pulling ?? pull())
    // After an empty pull the ledger is asked before the next.
    pulling = pulled.length > 0 ? pull() : undefined
    for await (const work of pulled.length > 0 ? claimPulled(pulled) : claimFromLedger()) {
      yield work
      claimedAt = performance.now()
    }
    // Not before they are settled: an item that is acknowledged and not claimed would be offered to nobody.
    if (signal.aborted) return
    acknowledged = Promise.all([acknowledged, items.acknowledge(pulled)])
    const isIdle = pulled.length === 0 && !isWhole
    if (isIdle) await sleep(PLAN_POLL_MS, signal)
    if (isIdle && performance.now() - claimedAt > PLAN_WAIT_MS) {
      throw new Error(
        `the planner has offered no shard of run ${runId} for ${PLAN_WAIT_MS / 60_000} minutes, and its plan is not whole: see the planner's log`,
      )
    }
  }
  await acknowledged

  async function* claimPulled(pulled: PulledItem[]): AsyncGenerator<Work> {
    for (const item of pulled) {
      if (signal.aborted) return
      // An item of an older dispatch finds no shard to claim: what it offered was finished, or is offered anew.
      yield* await claimNew({ runId, shardIndex: item.index, dispatch: item.dispatch })
    }
  }

  /** What is not in the subscription is with another task, or was never sent. */
  async function* claimFromLedger(): AsyncGenerator<Work> {
    while (!signal.aborted) {
      const offered = await ask("find an offered shard", findOffered)
      if (!offered) return
      yield* await claimNew(offered)
    }
  }

  /** Whether the planner offers nothing more; also if the run was taken back. */
  async function isPlanWhole(): Promise<boolean> {
    isWhole ||= dispatch > 0 || (await ask("read the run", () => findRun(db, runId)))?.state !== "planning"
    return isWhole
  }
}

/** Ends early at the signal. */
async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal }).catch(() => undefined)
}

/** Whether a promise has its value by now. */
async function isSettled(promise: Promise<unknown> | undefined): Promise<boolean> {
  const later = new Promise<false>((resolve) => setImmediate(resolve, false))
  return promise === undefined ? false : Promise.race([promise.then(() => true), later])
}
