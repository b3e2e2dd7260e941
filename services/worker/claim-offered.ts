import { setTimeout as wait } from "node:timers/promises"
import { findRun } from "../../shared/ledger/runs/find-runs.ts"
import { findOfferedShard } from "../../shared/ledger/shards/find-shards.ts"
import { type ClaimContext, claimNew, queryLedger, type Work } from "./claim-work.ts"
import type { ItemQueue } from "./item-queue.ts"
import type { PulledItem } from "./pull-item.ts"

// How long a planner may take to cut one shard, or to come back after its death: what Pub/Sub allows a push. A task that
// waits for longer ends and is tried again.
const PLAN_WAIT_MS = 10 * 60_000

// Between two looks at a plan that does not grow, should Pub/Sub answer at once that there is nothing.
const PLAN_POLL_MS = 100

/**
 * Claims what is offered to all: by the subscription, and where that brings nothing what the ledger knows to be offered,
 * for an item may be with a task that has died, or was never sent. The ledger is asked only when no item has come. Ends
 * when nothing is offered and, the plan being whole, nothing will be.
 */
export async function* claimOffered(context: ClaimContext, queue: ItemQueue): AsyncGenerator<Work> {
  const { signal } = context
  let isWhole = false
  let claimedAt = performance.now()
  while (!signal.aborted && !context.gate.isClosed) {
    if (queue.mode !== "fetched") {
      // Asked in this order: the last shard is offered in the transaction that ends the planning.
      isWhole ||= await isPlanWhole(context)
      if (isWhole && !(await findOffered(context))) break
    }
    const items = await queue.take()
    if (items.length > 0) queue.fetch()
    for await (const work of items.length > 0 ? claimPulled(context, queue, items) : claimFromLedger(context)) {
      yield work
      claimedAt = performance.now()
    }
    if (signal.aborted || context.gate.isClosed) return
    if (items.length === 0 && !isWhole) await awaitPlanner(context, claimedAt)
  }
  await queue.drain()
}

/**
 * An item is acknowledged as soon as the ledger has decided on its claim, before its shard is computed: from then on the
 * ledger alone says whose the shard is, and the next attempt of this task takes it up from there. An item on which nothing
 * was decided is not acknowledged, and comes again.
 */
async function* claimPulled(context: ClaimContext, queue: ItemQueue, items: PulledItem[]): AsyncGenerator<Work> {
  // An item of an older dispatch finds no shard to claim: what it offered was finished, or is offered anew.
  for (const [dispatch, offered] of Map.groupBy(items, (item) => item.dispatch)) {
    const rest = [...offered]
    while (rest.length > 0) {
      if (context.signal.aborted || context.gate.isClosed) return
      const together = rest.splice(0, context.pace.shardsAtOnce)
      const indexes = together.map(({ index }) => index)
      const claimed = await claimNew(context, dispatch, indexes)
      // The gate has closed just now, and nothing was asked of the ledger.
      if (context.gate.isClosed) return
      queue.acknowledge(together)
      yield* claimed
    }
  }
}

async function* claimFromLedger(context: ClaimContext): AsyncGenerator<Work> {
  while (!context.signal.aborted && !context.gate.isClosed) {
    const offered = await findOffered(context)
    if (!offered) return
    yield* await claimNew(context, offered.dispatch, [offered.shardIndex])
  }
}

function findOffered(context: ClaimContext) {
  const { db, runId, dispatch } = context
  return queryLedger(context, "find an offered shard", () => findOfferedShard(db, runId, dispatch))
}

/** Whether the planner offers nothing more; also if the run was taken back. A rerun offers all of its shards at once. */
async function isPlanWhole(context: ClaimContext): Promise<boolean> {
  const { db, runId, dispatch } = context
  return dispatch > 0 || (await queryLedger(context, "read the run", () => findRun(db, runId)))?.state !== "planning"
}

/** Waits a moment, less at the signal. Throws if nothing could be claimed for too long. */
async function awaitPlanner({ runId, signal }: ClaimContext, claimedAt: number): Promise<void> {
  if (performance.now() - claimedAt > PLAN_WAIT_MS) {
    throw new Error(
      `the planner has offered no shard of run ${runId} for ${PLAN_WAIT_MS / 60_000} minutes, and its plan is not whole: see the planner's log`,
    )
  }
  await wait(PLAN_POLL_MS, undefined, { signal }).catch(() => undefined)
}
