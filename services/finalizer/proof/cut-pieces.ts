import type { Shard } from "../../../shared/ledger/shards/find-shards.ts"

/**
 * How many purchases of the shop are read at most between two looks at whether its server is busy: a second or two of a
 * connection (0.4 to 2.5 s a million, by server and index), as long as the throttle lets pass between two looks. The statements
 * of one piece go two at a time, and fewer purchases would only add round trips.
 */
export const PURCHASES_PER_PIECE = 1_000_000

/**
 * Cuts shards, in their order, into pieces of at most so many purchases, and so many shards, by what each held when it was
 * computed; `unknown` is said of those that never were. Pieces are whole shards: each shard is compared by its own checksum
 * and sums, so whatever the cuts are, the same numbers are compared. A shard that is larger is a piece of its own. To cut it
 * evenly its users would have to be read first, which costs what the cut is to save; its size is SHARD_PURCHASES, and a
 * smaller one cuts more finely.
 */
export function* cutPieces(
  shards: Shard[],
  { shardsMax, unknown, purchasesMax = PURCHASES_PER_PIECE }: CutOptions,
): Generator<Shard[]> {
  let piece: Shard[] = []
  let held = 0
  for (const shard of shards) {
    const purchases = shard.purchases === null ? unknown : Number(shard.purchases)
    if (piece.length > 0 && (piece.length >= shardsMax || held + purchases > purchasesMax)) {
      yield piece
      piece = []
      held = 0
    }
    piece.push(shard)
    held += purchases
  }
  if (piece.length > 0) yield piece
}

interface CutOptions {
  shardsMax: number
  /** Purchases. */
  unknown: number
  purchasesMax?: number
}
