import type { Shop } from "../../../schemas/database/shop.ts"
import type { CheckedRows } from "../../../shared/day/revenue-rows.ts"
import { addTotals, noRows, noTotals, type Totals } from "../../../shared/day/totals.ts"
import { parseTotals } from "../../../shared/day/totals-fields.ts"
import type { Range } from "../../../shared/range.ts"
import type { Evidence, ShardEvidence } from "./gather-evidence.ts"

/** What is kept of the evidence of all shards: what it adds up to, and what versions are compared by. */
export interface Seen {
  /** Of the shards in their order. */
  ranges: Range[]
  rows: CheckedRows[]
  /** What the manifests that can be read add up to. */
  manifests: Totals
  revenue: Totals
  /** The largest amount of one row; 0 where there is none above. */
  largestCents: bigint
  source: Totals
  guests: Totals
}

/** Adds evidence up as it goes by: `seen` is whole once all of its shards have been iterated. */
export function addUpEvidence({ layout }: Shop, evidence: Evidence): { seen: Seen; evidence: Evidence } {
  const seen: Seen = {
    ranges: [],
    rows: [],
    manifests: noRows(layout),
    revenue: noRows(layout),
    largestCents: 0n,
    source: noTotals(layout),
    guests: evidence.guests,
  }
  async function* shards() {
    for await (const piece of evidence.shards) {
      for (const shard of piece) addShard(seen, shard)
      yield piece
    }
  }
  return { seen, evidence: { ...evidence, shards: shards() } }
}

function addShard(seen: Seen, { range, rows, manifest, source }: ShardEvidence): void {
  seen.ranges.push(range)
  seen.rows.push(rows)
  if (typeof manifest === "object") seen.manifests = addTotals(seen.manifests, parseTotals(manifest))
  seen.revenue = addTotals(seen.revenue, rows.totals)
  if (rows.largestCents > seen.largestCents) seen.largestCents = rows.largestCents
  seen.source = addTotals(seen.source, source.totals)
}
