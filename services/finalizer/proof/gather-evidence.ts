import type { Bucket } from "@google-cloud/storage"
import type { Manifest } from "../../../schemas/documents/manifest_pb.ts"
import { type Plan, PlanSchema } from "../../../schemas/documents/plan_pb.ts"
import { MalformedError, parseDocument } from "../../../schemas/json.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import type { Throttle } from "../../../shared/database/throttle.ts"
import { SHARD_PURCHASES_MIN } from "../../../shared/day/estimate-day.ts"
import { type CheckedRows, sumRows } from "../../../shared/day/revenue-rows.ts"
import type { CheckedTotals, Totals } from "../../../shared/day/totals.ts"
import { planPath } from "../../../shared/documents/document-paths.ts"
import { readDocument } from "../../../shared/documents/documents.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { countShards, listShardsFrom, type Shard } from "../../../shared/ledger/shards/find-shards.ts"
import { shardRange } from "../../../shared/ledger/shards/shard-range.ts"
import { parseRange, type Range } from "../../../shared/range.ts"
import type { RetryOptions } from "../../../shared/retry.ts"
import { cutPieces } from "./cut-pieces.ts"
import { type ListedManifests, listManifests, readManifests } from "./read-manifests.ts"
import { openSourceReader, type SourceReader } from "./source-reader.ts"
import { awaitShop } from "./throttles.ts"

/** All that a verdict rests on, as it was seen. */
export interface Evidence {
  /** The plan in the bucket; a string says what is wrong with it. */
  plan: Plan | string
  /** Of each of the ledger's shards, in the order of their indexes, some at a time: they are looked at as they are asked for. */
  shards: AsyncIterable<ShardEvidence[]> | Iterable<ShardEvidence[]>
  /** Names and indexes of manifests that no shard of the run has. */
  strangers: (string | number)[]
  guests: Totals
}

export interface ShardEvidence {
  shard: Shard
  range: Range
  /** A string says why it cannot be read; undefined where there is none. */
  manifest: Manifest | string | undefined
  /** What its Revenue rows add up to, recomputed. */
  rows: CheckedRows
  /** What the shop's purchases add up to. */
  source: CheckedTotals
}

// A run of more shards is looked at in pieces, so that memory does not grow with it; one of fewer loses nothing by that.
const SHARDS_PER_PIECE = 1_000

export interface GatherOptions extends RetryOptions {
  /** Asked before each piece. */
  throttle: Throttle
}

/**
 * Looks at plan, manifests, rows and source of a run that is closed. What equal values prove:
 *
 * The rows of a user were computed from the shop as it was at some time before the run was closed (`verifyingAt`): from
 * then on every unfinished claim is fenced. The shop is read again here, after that time. A user whose count and amount
 * are the same at both times has had them all the while, and so at `verifyingAt`; this holds for all users of all shards
 * together, each read whenever it was its turn. So a complete day is the shop as it was when verification began: a
 * consistent cut, though no two shards were ever read at the same time and nothing was locked. What is not seen is a
 * change and its exact reversal between both looks: the published day is the same with it and without it.
 *
 * It is the argument by which two equal collects are a snapshot (Afek et al., "Atomic snapshots of shared memory", 1993).
 */
export async function gatherEvidence(
  db: Database,
  shopDb: Database,
  bucket: Bucket,
  run: ShopRun,
  options: GatherOptions,
): Promise<Evidence> {
  const listing = listManifests(bucket, run, options)
  const reading = readPlan(bucket, run, options)
  // Found where they are needed, which may be after a wait.
  for (const begun of [listing, reading]) begun.catch(() => undefined)
  await awaitShop(options.throttle)
  const source = await openSourceReader(db, shopDb, run, options.throttle)
  const gather = (shards: Shard[]) => gatherPiece(db, source, bucket, run, shards, listing, options)
  const pieces = gatherPieces(db, run, reading, options.throttle, gather)
  const [plan, manifests, count, guests, first] = await Promise.all([
    reading,
    listing,
    countShards(db, run.runId),
    // They have no user by whom they could be cut, and are a piece of their own, whatever their number.
    source.sumGuests(),
    pieces.next(),
  ])
  async function* shards() {
    if (first.done) return
    yield first.value
    yield* pieces
  }
  return {
    plan,
    shards: shards(),
    strangers: [...[...manifests.byIndex.keys()].filter((index) => index >= count), ...manifests.foreign],
    guests,
  }
}

/** Looks at all shards in the order of their indexes, piece by piece, and waits between them while the shop is busy. */
async function* gatherPieces(
  db: Database,
  run: ShopRun,
  plan: Promise<Plan | string>,
  throttle: Throttle,
  gather: (shards: Shard[]) => Promise<ShardEvidence[]>,
): AsyncGenerator<ShardEvidence[]> {
  for (let from = 0; ; ) {
    const shards = await listShardsFrom(db, run.runId, from, SHARDS_PER_PIECE)
    const isSizeUnknown = shards.some(({ purchases }) => purchases === null)
    const unknown = isSizeUnknown ? sizeOf(await plan) : 0
    for (const piece of cutPieces(shards, { shardsMax: SHARDS_PER_PIECE, unknown })) {
      await awaitShop(throttle)
      yield await gather(piece)
    }
    const last = shards.at(-1)
    if (!last || shards.length < SHARDS_PER_PIECE) return
    from = last.shardIndex + 1
  }
}

/** About how many purchases a shard of a plan holds. */
const sizeOf = (plan: Plan | string) => (typeof plan === "string" ? SHARD_PURCHASES_MIN : plan.shardPurchases)

async function gatherPiece(
  db: Database,
  source: SourceReader,
  bucket: Bucket,
  run: ShopRun,
  shards: Shard[],
  listing: Promise<ListedManifests>,
  options: RetryOptions,
): Promise<ShardEvidence[]> {
  const ranges = shards.map((shard) => shardRange(run.shop.layout.userType, shard))
  const [manifests, rows, purchases] = await Promise.all([
    listing.then((listed) => readManifests(bucket, run, shards, listed, options)),
    sumRows(db, run, ranges),
    source.sumShards(shards),
  ])
  return shards.map((shard, at) => ({
    shard,
    range: present(ranges[at]),
    manifest: manifests.get(shard.shardIndex),
    rows: present(rows[at]),
    source: present(purchases[at]),
  }))
}

/** One of as many as there are shards. */
function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("there are fewer totals than shards")
  return value
}

async function readPlan(bucket: Bucket, run: ShopRun, options: RetryOptions): Promise<Plan | string> {
  const path = planPath(run.runId)
  const text = await readDocument(bucket, path, options)
  if (text === undefined) return `${path} is not there`
  try {
    const plan = parseDocument(PlanSchema, text)
    for (const fields of plan.shards) parseRange(run.shop.layout.userType, fields)
    return plan
  } catch (error) {
    if (error instanceof MalformedError || error instanceof RangeError) return `${path}: ${error.message}`
    throw error
  }
}
