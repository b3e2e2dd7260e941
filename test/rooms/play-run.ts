import { VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { formatJson } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { markAnnounced } from "../../shared/ledger/announce-run.ts"
import { type Claim, claimShard, lockClaims } from "../../shared/ledger/claim-shards.ts"
import { closeRun } from "../../shared/ledger/close-run.ts"
import { decideRun } from "../../shared/ledger/decide-run.ts"
import { failShard } from "../../shared/ledger/fail-shard.ts"
import { findRun, type Run } from "../../shared/ledger/find-runs.ts"
import { finishShards } from "../../shared/ledger/finish-shards.ts"

/** Plays a task that claims a shard. */
export async function claim(
  db: Database,
  run: Run,
  shardIndex: number,
  taskIndex: number,
  attempt = 0,
): Promise<Claim> {
  const task = { execution: "daybook-worker-abcde", taskIndex, attempt }
  const shard = await claimShard(db, { runId: run.runId, shardIndex, dispatch: run.dispatch }, task)
  if (!shard) throw new Error(`shard ${shardIndex} cannot be claimed`)
  return shard
}

/** Plays a task that computes a shard. */
export async function compute(db: Database, run: Run, shardIndex: number, amountCents = 1_050n): Promise<void> {
  const locked = await lockClaims(db, [await claim(db, run, shardIndex, 0)])
  const totals = { rows: 2n, purchases: 1_000n, amountCents, parts: [] }
  await finishShards(db, locked, [{ totals, checksum: 7n }])
}

/** Plays a task that cannot compute a shard. */
export async function fail(db: Database, run: Run, shardIndex: number, error: string): Promise<void> {
  await failShard(db, await claim(db, run, shardIndex, 1), error)
}

/** Plays the finalizer, up to the verdict that is not yet announced. */
export async function decide(db: Database, run: Run, failed: { index: number; reason: string }[] = []): Promise<void> {
  await closeRun(db, run)
  const state = failed.length === 0 ? "complete" : "incomplete"
  const totals = { rows: 4n, purchases: 2_000n, amountCents: "2100" }
  const verdict = formatJson(VerdictSchema, {
    verdict: state,
    runId: run.runId,
    date: run.revenueDate,
    version: run.version,
    dispatch: run.dispatch,
    requestId: run.requestId,
    decidedAt: "2026-11-23T02:00:00Z",
    ...(state === "complete" ? {} : { reason: `${failed.length} failed`, retry: retryOf(run, failed) }),
    shards: run.shardCount ?? 0,
    manifests: totals,
    revenue: totals,
    source: { purchases: 2_000n, amountCents: "2100" },
    guests: { purchases: 30n, amountCents: "-9007199254740993" },
    faults: failed.map((shard) => ({ ...shard, fault: "failed" })),
  })
  if (!(await decideRun(db, run, { state, verdict }))) throw new Error("the run is decided already")
}

/** Plays the finalizer to its end. */
export async function finish(db: Database, run: Run, failed: { index: number; reason: string }[] = []): Promise<void> {
  await decide(db, run, failed)
  await markAnnounced(db, run)
}

export async function reread(db: Database, run: Run): Promise<Run> {
  return (await findRun(db, run.runId)) as Run
}

function retryOf(run: Run, failed: { index: number }[]) {
  const message = { runId: run.runId, shards: failed.map(({ index }) => index) }
  return { topic: "rerun-requests", data: JSON.stringify(message) }
}
