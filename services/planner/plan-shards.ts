import { type Plan, PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { formatJson, parseDocument } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { readSource } from "../../shared/database/read-source.ts"
import { planPath } from "../../shared/documents/document-paths.ts"
import { createDocument, readDocument } from "../../shared/documents/documents.ts"
import { setMultipliers } from "../../shared/ledger/runs/create-run.ts"
import type { Run, ShopRun } from "../../shared/ledger/runs/find-runs.ts"
import { openRun } from "../../shared/ledger/runs/open-run.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { offerShards } from "../../shared/ledger/shards/offer-shards.ts"
import { rangeColumns, shardRange } from "../../shared/ledger/shards/shard-range.ts"
import { parseRange, type Range, rangeFields } from "../../shared/range.ts"
import { gather } from "./gather.ts"
import type { Offer, OfferedShard } from "./offer.ts"
import { planRanges } from "./plan-ranges.ts"
import type { DispatchContext } from "./run-dispatch.ts"
import { type SizeOptions, sizeShards } from "./size-shards.ts"

// After the first, shards are offered by the handful: a transaction and a publish for each would cost more than they
// bring, as a task has one to compute meanwhile.
const OFFER_INTERVAL_MS = 100

export interface PlanContext extends DispatchContext, SizeOptions {
  /** Where the shop is read; the database itself unless the shop is elsewhere. */
  shopDb: Database
  now(): Date
}

/**
 * Plans a run and yields its shards as they are offered in the ledger: what is there already, then each as soon as it is
 * cut. The ledger is the plan while it grows, so a planner that dies leaves a beginning, and the next delivery of the
 * request cuts the rest. At the end the number of shards is fixed in the ledger, then the plan written to the bucket,
 * then the last shard offered and the run opened in one transaction.
 */
export async function* planShards(context: PlanContext, begun: Run, tasksAtOnce: number): AsyncGenerator<Offer> {
  const { db, bucket, shop, shopDb } = context
  const path = planPath(begun.runId)
  const [text, known] = await Promise.all([readDocument(bucket, path, context), listShards(db, begun.runId)])
  if (known.length > 0) yield { shards: known, isWhole: false }
  const plan = text === undefined ? undefined : parseDocument(PlanSchema, text)
  const run = { ...(plan && known.length === 0 ? await takeMultipliers(db, begun, plan) : begun), shop }
  const shardPurchases = plan?.shardPurchases ?? (await readSource(() => sizeShards(shopDb, run, tasksAtOnce, context)))
  const ranges = known.map((shard) => shardRange(shop.layout.userType, shard))
  const rest = cutRemainingShards(context, run, ranges, shardPurchases, plan)
  for await (const cuts of gather(rest, { firstCount: tasksAtOnce + 1, intervalMs: OFFER_INTERVAL_MS })) {
    const firstIndex = ranges.length
    ranges.push(...cuts)
    const isWhole = ranges.at(-1)?.to === undefined
    const offered = isWhole ? cuts.slice(0, -1) : cuts
    if (!(await offerShards(db, run, firstIndex, offered, isWhole ? ranges.length : undefined))) throw isChanged(run)
    yield { shards: offered.map((range, at) => toOffered(range, firstIndex + at)), isWhole: false }
  }
  await createDocument(bucket, path, formatPlan(run, ranges, shardPurchases, context.now()), context)
  const last = ranges.at(-1) ?? {}
  if (!(await openRun(db, run, ranges.length, last))) throw isChanged(run)
  context.log.info({ runId: run.runId, shards: ranges.length, shardPurchases }, "a run is planned")
  yield { shards: [toOffered(last, ranges.length - 1)], isWhole: true }
}

/** The ledger forgot a run that had its plan, by a failover that lost commits: the plan is still the plan. */
async function takeMultipliers(db: Database, run: Run, { checksumMultipliers }: Plan): Promise<Run> {
  if (checksumMultipliers === undefined || checksumMultipliers === run.checksumMultipliers) return run
  await setMultipliers(db, run.runId, checksumMultipliers)
  return { ...run, checksumMultipliers }
}

function toOffered(range: Range, shardIndex: number): OfferedShard {
  return { shardIndex, ...rangeColumns(range), state: "offered" }
}

/** Delivered again, the request finds how far the other has come. */
function isChanged(run: Run): Error {
  return new Error(
    `run ${run.runId} has changed while it was being planned: another delivery plans it, or it was closed`,
  )
}

/** What of the plan is not in the ledger yet, after the shards that are. The last has no upper bound. */
async function* cutRemainingShards(
  context: PlanContext,
  run: ShopRun,
  known: readonly Range[],
  shardPurchases: number,
  plan: Plan | undefined,
): AsyncGenerator<Range> {
  const index = known.length
  const from = known.at(-1)?.to
  if (plan) {
    // The plan is written: nothing else may be cut.
    for (const fields of plan.shards.slice(index)) yield parseRange(run.shop.layout.userType, fields)
  } else if (run.shardCount === null) {
    const options = { shardPurchases, from, shardsMax: context.shardsMax - index }
    const walk = planRanges(context.shopDb, run, options)
    for (;;) {
      const next = await readSource(() => walk.next())
      if (next.done) return
      yield next.value
    }
  } else {
    // The planner that fixed the last cut died before it wrote the plan.
    yield { from, to: undefined }
  }
}

function formatPlan(run: ShopRun, ranges: Range[], shardPurchases: number, plannedAt: Date): string {
  const { fingerprint } = run.shop.layout
  return formatJson(
    PlanSchema,
    {
      runId: run.runId,
      date: run.revenueDate,
      version: run.version,
      timeZone: run.timeZone,
      fromAt: run.fromAt.toISOString(),
      toAt: run.toAt.toISOString(),
      shardPurchases,
      shards: ranges.map(rangeFields),
      plannedAt: plannedAt.toISOString(),
      read: { index: run.sourceIndex, way: run.accessPath },
      ...(fingerprint === undefined ? {} : { declaration: fingerprint }),
      ...(run.checksumMultipliers === null ? {} : { checksumMultipliers: run.checksumMultipliers }),
    },
    2,
  )
}
