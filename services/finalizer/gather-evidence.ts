import type { Bucket } from "@google-cloud/storage"
import type { Manifest } from "../../schemas/documents/manifest_pb.ts"
import { type Plan, PlanSchema } from "../../schemas/documents/plan_pb.ts"
import { MalformedError, parseDocument } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { readSource } from "../../shared/database/read-source.ts"
import { type CheckedRows, sumRows } from "../../shared/day/revenue-rows.ts"
import type { CheckedTotals, Totals } from "../../shared/day/totals.ts"
import { planPath } from "../../shared/documents/document-paths.ts"
import { readDocument } from "../../shared/documents/documents.ts"
import type { ShopRun } from "../../shared/ledger/find-runs.ts"
import { countShards, listShardsFrom, type Shard } from "../../shared/ledger/find-shards.ts"
import { shardRange } from "../../shared/ledger/shard-range.ts"
import { parseRange, type Range } from "../../shared/range.ts"
import type { RetryOptions } from "../../shared/retry.ts"
import { type ListedManifests, listManifests, readManifests } from "./read-manifests.ts"
import { sumGuests, sumSource } from "./sum-source.ts"

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
  options: RetryOptions,
): Promise<Evidence> {
  const listing = listManifests(bucket, run, options)
  const [plan, manifests, count, guests, first] = await Promise.all([
    readPlan(bucket, run, options),
    listing,
    countShards(db, run.runId),
    readSource(() => sumGuests(shopDb, run)),
    gatherPiece(db, shopDb, bucket, run, 0, listing, options),
  ])
  async function* pieces() {
    let piece = first
    for (;;) {
      yield piece
      const last = piece.at(-1)?.shard.shardIndex
      if (last === undefined || piece.length < SHARDS_PER_PIECE) return
      piece = await gatherPiece(db, shopDb, bucket, run, last + 1, listing, options)
    }
  }
  return {
    plan,
    shards: pieces(),
    strangers: [...[...manifests.byIndex.keys()].filter((index) => index >= count), ...manifests.foreign],
    guests,
  }
}

/** Looks at some shards from an index on. */
async function gatherPiece(
  db: Database,
  shopDb: Database,
  bucket: Bucket,
  run: ShopRun,
  from: number,
  listing: Promise<ListedManifests>,
  options: RetryOptions,
): Promise<ShardEvidence[]> {
  const shards = await listShardsFrom(db, run.runId, from, SHARDS_PER_PIECE)
  const ranges = shards.map((shard) => shardRange(run.shop.layout.userType, shard))
  const [manifests, rows, purchases] = await Promise.all([
    listing.then((listed) => readManifests(bucket, run, shards, listed, options)),
    sumRows(db, run, ranges),
    readSource(() => sumSource(shopDb, run, ranges)),
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
