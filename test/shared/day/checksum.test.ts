import { crc32 } from "node:zlib"
import * as fc from "fast-check"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { sumSource } from "../../../services/finalizer/proof/sum-source.ts"
import { drawMultipliers, parseMultipliers } from "../../../shared/day/checksum.ts"
import { insertTotals, sumRows } from "../../../shared/day/revenue-rows.ts"
import type { Range } from "../../../shared/range.ts"
import { createTestDatabase, insertPurchases, shopTables, type TestDatabase } from "../../fixtures/test-database.ts"
import { newRun, testDate } from "../../fixtures/test-run.ts"
import { userShopRead, userShopTables } from "../../fixtures/user-shop.ts"

const multipliers = drawMultipliers()
const INT64_MAX = 2n ** 63n - 1n

type Purchase = [user: bigint, amount: bigint]
type Change = (shop: Purchase[]) => Purchase[]

const user = fc.oneof(
  fc.bigInt({ min: 1n, max: 12n }),
  fc.constantFrom(-INT64_MAX - 1n, INT64_MAX, -1n, 0n, 2n ** 32n - 1n, 2n ** 32n, 10n ** 9n + 1n, 10n ** 18n + 1n),
)
// Some of both, so that changes cancel each other in count and sum.
const amount = fc.oneof(fc.bigInt({ min: -3n, max: 3n }), fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }))
const shop = fc.array(fc.tuple(user, amount), { maxLength: 40 })

const at = fc.nat({ max: 1_000 })
const change: fc.Arbitrary<Change> = fc.oneof(
  // Given to another user.
  fc.tuple(at, user).map(
    ([index, to]): Change =>
      (of) =>
        replace(of, index, ([, spent]) => [[to, spent]]),
  ),
  // Two accounts become one.
  fc.tuple(user, user).map(
    ([from, to]): Change =>
      (of) =>
        of.map(([id, spent]) => [id === from ? to : id, spent]),
  ),
  // Equal and opposite.
  fc.tuple(at, at, amount).map(
    ([one, other, by]): Change =>
      (of) =>
        replace(
          replace(of, one, ([id, spent]) => [[id, spent + by]]),
          other,
          ([id, spent]) => [[id, spent - by]],
        ),
  ),
  // Deleted, and an equal one inserted.
  fc.tuple(at, user).map(
    ([index, by]): Change =>
      (of) => {
        const gone = of[index % Math.max(1, of.length)]
        return gone ? [...replace(of, index, () => []), [by, gone[1]]] : of
      },
  ),
  fc.tuple(user, amount).map(
    (bought): Change =>
      (of) => [...of, bought],
  ),
  at.map(
    (index): Change =>
      (of) =>
        replace(of, index, () => []),
  ),
)

function replace(of: Purchase[], index: number, by: (old: Purchase) => Purchase[]): Purchase[] {
  return of.flatMap((purchase, n) => (n === index % of.length ? by(purchase) : [purchase]))
}

/** What each user spent, without the checksum: the truth that it is compared with. */
function totalsOf(of: Purchase[]): string {
  const totals = new Map<bigint, [bigint, number]>()
  for (const [id, spent] of of) {
    const [sum, count] = totals.get(id) ?? [0n, 0]
    totals.set(id, [sum + spent, count + 1])
  }
  return [...totals]
    .map(([id, [sum, count]]) => `${id}:${sum}/${count}`)
    .toSorted((a, b) => a.localeCompare(b))
    .join(" ")
}

/** The formula of shared/day/checksum.ts in whole numbers of any size. */
function checksumOf(of: Purchase[]): bigint {
  const [a, b, c, d] = parseMultipliers(multipliers).map(BigInt) as [bigint, bigint, bigint, bigint]
  const hash = (id: bigint, low: bigint, high: bigint) => {
    const bits = BigInt.asUintN(64, id)
    return BigInt(crc32(String((bits & 0xffffffffn) * low + (bits >> 32n) * high)))
  }
  return of.reduce(
    (sum, [id, spent]) => sum + (spent + 2n ** 100n) * (hash(id, a, b) * 2n ** 31n + (hash(id, c, d) >> 1n)),
    0n,
  )
}

// Ids of 32 bits are weighed by a shorter expression.
const pieces: Range[] = [
  { to: 0n },
  { from: 0n, to: 5n },
  { from: 5n, to: 2n ** 32n },
  { from: 2n ** 32n, to: 2n ** 33n },
  { from: 2n ** 33n },
]

describe.each([
  ["a day's slice", shopTables, {}],
  ["batches of users", userShopTables, userShopRead],
] as const)("read by %s", (_way, tables, read) => {
  let database: TestDatabase
  const run = { ...newRun({ ...read, checksumMultipliers: multipliers }), version: 1 }

  beforeAll(async () => {
    database = await createTestDatabase()
    await database.query(...tables)
  })
  afterAll(() => database.drop())
  beforeEach(() => database.query("DELETE FROM purchases"))

  const fill = async (of: Purchase[]) => {
    await database.query("DELETE FROM purchases")
    const rows = of.map(([id, spent], n): [bigint, bigint, string] => [id, spent, `${testDate} 10:00:${10 + (n % 50)}`])
    if (rows.length > 0) await database.query(insertPurchases(rows))
  }
  const compute = async () => {
    await database.query("DELETE FROM revenue_versions")
    await insertTotals(database.db, run, run, {})
  }
  const addUp = (sums: { checksum: bigint }[]) => sums.reduce((sum, { checksum }) => sum + checksum, 0n)
  const ofSource = async (ranges: Range[] = [{}]) => addUp(await sumSource(database.db, run, ranges))
  const ofRows = async (ranges: Range[] = [{}]) => addUp(await sumRows(database.db, run, ranges))

  test("the rows of any shop have its checksum, and it is that of the formula", async () => {
    await fc.assert(
      fc.asyncProperty(shop, async (of) => {
        await fill(of)
        await compute()
        expect(await ofSource()).toBe(checksumOf(of))
        expect(await ofRows()).toBe(checksumOf(of))
        expect(await ofSource(pieces)).toBe(checksumOf(of))
        expect(await ofRows(pieces)).toBe(checksumOf(of))
      }),
      { numRuns: 50 },
    )
  })

  test("after any changes of the shop the checksums are equal if and only if every user's total is", async () => {
    let equal = 0
    let unseenBySums = 0
    await fc.assert(
      fc.asyncProperty(shop, fc.array(change, { minLength: 1, maxLength: 3 }), async (of, changes) => {
        await fill(of)
        await compute()
        const changed = changes.reduce((now, next) => next(now), of)
        await fill(changed)
        const isSame = totalsOf(changed) === totalsOf(of)
        expect((await ofSource()) === (await ofRows())).toBe(isSame)
        const sum = (all: Purchase[]) => all.reduce((total, [, spent]) => total + spent, 0n)
        if (isSame) equal++
        else if (changed.length === of.length && sum(changed) === sum(of)) unseenBySums++
      }),
      { numRuns: 200 },
    )
    // Both happen: there would be nothing to see otherwise.
    expect(equal).toBeGreaterThan(5)
    expect(unseenBySums).toBeGreaterThan(20)
  })

  test("nothing is clipped: amounts at the ends of 64 bits, of users at the ends of 64 bits", async () => {
    const ends: Purchase[] = [INT64_MAX, -INT64_MAX - 1n].flatMap((id) => [
      [id, INT64_MAX],
      [id, INT64_MAX],
      [id, -INT64_MAX - 1n],
    ])
    await fill(ends)
    expect(await ofSource()).toBe(checksumOf(ends))
    await compute()
    expect(await ofRows()).toBe(checksumOf(ends))
  })
})

test("the multipliers are odd numbers of 31 bits, drawn anew each time", () => {
  const drawn = parseMultipliers(multipliers)
  expect(drawn).toHaveLength(4)
  for (const multiplier of drawn) {
    expect(multiplier % 2).toBe(1)
    expect(multiplier).toBeGreaterThanOrEqual(2 ** 30)
    expect(multiplier).toBeLessThan(2 ** 31)
  }
  expect(drawMultipliers()).not.toBe(multipliers)
})
