import type { Database } from "../../shared/database/open-database.ts"
import { type Claim, claimShard, claimShards } from "../../shared/ledger/shards/claim-shards.ts"
import type { Shard, TaskAttempt } from "../../shared/ledger/shards/find-shards.ts"
import { retryTransient } from "../../shared/retry.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import type { ClaimGate } from "./claim-gate.ts"
import type { Pace } from "./pace.ts"
import type { ItemSource } from "./pull-item.ts"

/** What a task is to do next with a shard. */
export type Work =
  /** Claimed: compute it, or several small ones in one transaction. */
  | ComputeWork
  /** Done or failed by an earlier attempt, which may not have reported it: write its manifest and report it. */
  | { kind: "report"; claim: Claim }

export interface ComputeWork {
  kind: "compute"
  claims: Claim[]
  /** How often an attempt has died with it; of several, none has. */
  crashes: number
  /** What keeps this process busy, and is best done while the database is. */
  meanwhile?: (() => void) | undefined
}

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
  /** Whether anything more may be claimed that nobody has. */
  gate: ClaimGate
  pace: Pace
  log: Log
  signal: AbortSignal
}

/** Claims those of some shards that nobody has had in this dispatch, so that they have no crashes; nothing if there are none. */
export async function claimNew(context: ClaimContext, dispatch: number, indexes: number[]): Promise<ComputeWork[]> {
  const { db, runId, task, gate } = context
  if (!(await gate.pass())) return []
  const claim = () => claimShards(db, { runId, dispatch }, indexes, task)
  const claims = await queryLedger(context, `claim shard ${indexes.join(", ")}`, claim)
  return claims.length > 0 ? [{ kind: "compute", claims, crashes: 0 }] : []
}

/** Claims a shard, whoever of this task's attempts has had it; undefined if it is somebody else's. */
export function claimAgain(
  context: ClaimContext,
  shard: Pick<Shard, "runId" | "shardIndex" | "dispatch">,
): Promise<Claim | undefined> {
  return queryLedger(context, `claim shard ${shard.shardIndex}`, () => claimShard(context.db, shard, context.task))
}

/** Asks the ledger, again if need be. */
export function queryLedger<T>(context: ClaimContext, what: string, call: () => Promise<T>): Promise<T> {
  return retryTransient(`${what} of run ${context.runId}`, call, context)
}
