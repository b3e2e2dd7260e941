import * as fc from "fast-check"
import { expect, test } from "vitest"
import { findGap, type Range } from "../../shared/range.ts"

const cuts = fc
  .uniqueArray(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 30 })
  .map((ids) => ids.toSorted((a, b) => (a < b ? -1 : 1)))

const tile = (ids: bigint[]): Range[] =>
  [undefined, ...ids].map((from, index) => ({ from, to: index < ids.length ? ids[index] : undefined }))

test("ranges cut anywhere tile the id space: every id belongs to exactly one", () => {
  fc.assert(
    fc.property(cuts, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (ids, id) => {
      const ranges = tile(ids)
      expect(findGap(ranges)).toBeUndefined()
      const owners = ranges.filter(
        ({ from, to }) => (from === undefined || id >= BigInt(from)) && (to === undefined || id < BigInt(to)),
      )
      expect(owners).toHaveLength(1)
    }),
  )
})

test("a gap, an overlap, a lost or a doubled range is found", () => {
  fc.assert(
    fc.property(cuts, fc.nat(), fc.constantFrom("drop", "double", "shift", "swap"), (ids, at, harm) => {
      const ranges = tile(ids)
      fc.pre(ranges.length > 1)
      const index = at % ranges.length
      const harmed = [...ranges]
      const victim = ranges[index] as Range
      if (harm === "drop") harmed.splice(index, 1)
      if (harm === "double") harmed.splice(index, 0, victim)
      if (harm === "shift") harmed[index] = { ...victim, to: BigInt(victim.to ?? 0n) + 1n }
      if (harm === "swap") harmed.reverse()
      expect(findGap(harmed)).toBeDefined()
    }),
  )
})

test.each<[Range[], string]>([
  [[], "there is no range at all"],
  [[{ from: 5n, to: undefined }], "ids below 5 belong to no shard"],
  [[{ from: undefined, to: 5n }], "ids from 5 on belong to no shard"],
  [[{ to: 5n }, { from: 7n }], "begins at 7 and the shard before ends at 5"],
  [[{ to: 5n }, { from: 5n, to: 5n }, { from: 5n }], "[5, 5) is empty"],
])("%o: %s", (ranges, reason) => {
  expect(findGap(ranges)?.reason).toBe(reason)
})
