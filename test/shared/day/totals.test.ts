import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { plainShop } from "../../../schemas/database/shop.ts"
import {
  addTotals,
  type CurrencySums,
  mapMeasures,
  noRows,
  sameTotals,
  subtractUsers,
  type Totals,
  totalsOf,
} from "../../../shared/day/totals.ts"
import { dayFields, formatDigits, parseDay, parseTotals, totalsFields } from "../../../shared/day/totals-fields.ts"
import { readTotals, totalsColumns } from "../../../shared/ledger/shards/totals-columns.ts"

const big = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n })
const count = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const sumsOf = (currency: fc.Arbitrary<string | undefined>): fc.Arbitrary<CurrencySums> =>
  fc.record({ currency, rows: count, purchases: count, amountCents: big, measures: fc.record({ tax: big }) })
const manySums = fc.oneof(
  fc.array(sumsOf(fc.constant(undefined)), { minLength: 1, maxLength: 5 }),
  fc.array(sumsOf(fc.constantFrom("EUR", "USD", "")), { minLength: 1, maxLength: 5 }),
)
const addUp = (sums: CurrencySums[]): Totals => sums.map(totalsOf).reduce(addTotals)

describe("totals come back as they were", () => {
  test.each<[string, (totals: Totals) => Totals | undefined]>([
    ["from a document or a message", (totals) => parseTotals(totalsFields(totals))],
    ["from JSON", (totals) => parseTotals(JSON.parse(formatDigits(totalsFields(totals))) as never)],
    ["from JSON of a published day", (totals) => parseDay(JSON.parse(formatDigits(dayFields(totals))) as never)],
    ["from the ledger", (totals) => readTotals(totalsColumns(totals))],
  ])("%s", (_from, bringBack) => {
    fc.assert(
      fc.property(manySums, (sums) => {
        expect(bringBack(addUp(sums))).toEqual(addUp(sums))
      }),
    )
  })

  test("from what an older version of Daybook wrote, which knew no parts, and where nothing was added up", () => {
    const expected = { ...noRows(plainShop.layout), rows: 4n, purchases: 9n, amountCents: 12n }
    expect(parseDay({ users: "4", purchases: "9", amountCents: "12" })).toEqual(expected)
    expect(readTotals({ rowCount: null, purchases: null, amountCents: null, parts: null })).toBeUndefined()
  })
})

test("amounts of several currencies are in their parts alone, and what is not counted on one side is not in the sum", () => {
  const measures = { tax: 1n }
  const euros = totalsOf({ currency: "EUR", rows: 1n, purchases: 2n, amountCents: 3n, measures })
  const dollars = totalsOf({ currency: "USD", rows: undefined, purchases: 5n, amountCents: 7n, measures })
  expect(addTotals(dollars, euros)).toEqual({
    rows: undefined,
    purchases: 7n,
    amountCents: undefined,
    parts: [...euros.parts, ...dollars.parts],
  })
})

test("totals without the users who were added last are those before, and parts of nobody are gone", () => {
  fc.assert(
    fc.property(manySums, manySums, (before, more) => {
      const users = more
        .filter(({ currency }) => (currency === undefined) === (before[0]?.currency === undefined))
        .map((sums) => ({ ...sums, rows: 1n }))
      const counted = before.map((sums) => ({ ...sums, rows: sums.rows ?? 1n }))
      const left = subtractUsers(
        addUp([...counted, ...users]),
        users.map(({ currency, ...sums }) => ({ currency, sums })),
      )
      const remaining = addUp(counted)
      expect(left).toMatchObject({ rows: remaining.rows, purchases: remaining.purchases })
      expect(left.parts).toEqual(remaining.parts.filter(({ rows }) => rows !== 0n))
    }),
  )
})

test("totals are the same whoever counted rows, and a part of nothing is none", () => {
  fc.assert(
    fc.property(manySums, (sums) => {
      const totals = addUp(sums)
      const [first] = totals.parts
      const uncounted = {
        ...totals,
        rows: undefined,
        parts: totals.parts.map((part) => ({ ...part, rows: undefined })),
      }
      const nothing = { currency: "XXX", rows: 1n, purchases: 0n, amountCents: 0n, measures: { tax: 0n } }
      expect(sameTotals(totals, { ...uncounted, parts: [...uncounted.parts, nothing] })).toBe(true)
      const changed = first && { ...first, measures: mapMeasures(first.measures, (sum) => sum + 1n) }
      expect(sameTotals(totals, { ...totals, parts: [...(changed ? [changed] : []), ...totals.parts.slice(1)] })).toBe(
        false,
      )
    }),
  )
})
