import type { Shop } from "../../schemas/database/shop.ts"
import type { RowTotals } from "../../shared/day/revenue-rows.ts"
import { addTotals, noTotals, parseTotals, type Totals } from "../../shared/day/totals.ts"
import type { Range } from "../../shared/range.ts"
import type { Evidence, ShardEvidence } from "./gather-evidence.ts"

/** What is kept of the evidence of all shards: what it adds up to, and what versions are compared by. */
export interface Seen {
  /** Of the shards in their order. */
  ranges: Range[]
  rows: RowTotals[]
  /** What the manifests that can be read add up to. */
  manifests: { rows: bigint; totals: Totals }
  revenue: { rows: bigint; totals: Totals; largestCents: bigint }
  source: Totals
  guests: Totals
}

/** Adds evidence up as it goes by: `seen` is whole once all of its shards have been iterated. */
export function addUpEvidence({ layout }: Shop, evidence: Evidence): { seen: Seen; evidence: Evidence } {
  const none = noTotals(layout)
  const seen: Seen = {
    ranges: [],
    rows: [],
    manifests: { rows: 0n, totals: none },
    revenue: { rows: 0n, totals: none, largestCents: 0n },
    source: none,
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
  const { manifests, revenue } = seen
  seen.ranges.push(range)
  seen.rows.push(rows)
  if (typeof manifest === "object") {
    manifests.rows += manifest.rows
    manifests.totals = addTotals(manifests.totals, parseTotals(manifest))
  }
  revenue.rows += rows.rows
  revenue.totals = addTotals(revenue.totals, rows)
  if (rows.largestCents > revenue.largestCents) revenue.largestCents = rows.largestCents
  seen.source = addTotals(seen.source, source)
}
