import * as fc from "fast-check"
import { expect, test } from "vitest"
import { cutPieces } from "../../../services/finalizer/proof/cut-pieces.ts"
import type { Shard } from "../../../shared/ledger/shards/find-shards.ts"

const options = { shardsMax: 5, unknown: 300, purchasesMax: 1_000 }
const sizeOf = ({ purchases }: Shard) => Number(purchases ?? options.unknown)
const held = (shards: Shard[]) => shards.reduce((sum, shard) => sum + sizeOf(shard), 0)

test("pieces are whole shards in their order, as many as fit, and one that is too large alone", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.bigInt({ min: 0n, max: 1_500n })), { maxLength: 40 }), (sizes) => {
      const shards = sizes.map((purchases, shardIndex) => ({ shardIndex, purchases }) as Shard)
      const pieces = [...cutPieces(shards, options)]
      expect(pieces.flat()).toEqual(shards)
      for (const [at, piece] of pieces.entries()) {
        expect(piece.length).toBeLessThanOrEqual(options.shardsMax)
        if (piece.length > 1) expect(held(piece)).toBeLessThanOrEqual(options.purchasesMax)
        const [next] = pieces[at + 1] ?? []
        if (next && piece.length < options.shardsMax) {
          expect(held([...piece, next])).toBeGreaterThan(options.purchasesMax)
        }
      }
    }),
  )
})

test("a day of many small shards is a few pieces of a million purchases", () => {
  const shards = Array.from({ length: 200 }, (_, shardIndex) => ({ shardIndex, purchases: 50_000n }) as Shard)
  expect([...cutPieces(shards, { shardsMax: 1_000, unknown: 0 })].map(({ length }) => length)).toEqual(
    Array.from({ length: 10 }, () => 20),
  )
})
