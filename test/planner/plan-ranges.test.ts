import * as fc from "fast-check"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { type CheckedDay, sumGuests, sumSource } from "../../services/finalizer/proof/sum-source.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { findGap } from "../../shared/range.ts"
import { berlin, utc } from "../fixtures/any-purchases.ts"
import { createTestDatabase, insertPurchases, shopTables, type TestDatabase } from "../fixtures/test-database.ts"

let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
  await database.query(
    ...shopTables,
    "CREATE INDEX purchases_by_user ON purchases (user_id, purchased_at)",
    "CREATE INDEX purchases_by_time ON purchases (purchased_at)",
  )
})
afterAll(() => database.drop())
beforeEach(() => database.query("DELETE FROM purchases"))

const reads = [
  { sourceIndex: "purchases_day_slice", accessPath: "day-slice" },
  { sourceIndex: "purchases_by_time", accessPath: "day-scan" },
  { sourceIndex: "", accessPath: "day-scan" },
  { sourceIndex: "purchases_by_user", accessPath: "user-batches" },
] as const

const userIds = fc.oneof(
  { weight: 5, arbitrary: fc.bigInt({ min: 1n, max: 40n }) },
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 0n, -1n),
)
const buyers = fc.array(fc.record({ user: userIds, purchases: fc.nat({ max: 12 }) }), { maxLength: 40 })

describe.each(reads)("read by $accessPath of the index $sourceIndex", (read) => {
  const day: CheckedDay = { ...utc, ...read, checksumMultipliers: null }
  const berlinDay: CheckedDay = { ...berlin, ...read, checksumMultipliers: null }

  test("shards tile the id space, lose no purchase, and are equal to within one user's purchases", async () => {
    await fc.assert(
      fc.asyncProperty(buyers, fc.integer({ min: 1, max: 15 }), async (buyers, shardPurchases) => {
        await database.query("DELETE FROM purchases")
        const perUser = new Map<bigint, number>()
        for (const { user, purchases } of buyers) perUser.set(user, (perUser.get(user) ?? 0) + purchases)
        const rows = [...perUser].flatMap(([user, count]) =>
          Array.from({ length: count }, (): [bigint, number, string] => [user, 5, "2026-11-22 12:00:00"]),
        )
        if (rows.length > 0) await database.query(insertPurchases(rows))

        const ranges = await Array.fromAsync(planRanges(database.db, day, { shardPurchases }))

        expect(findGap(ranges)).toBeUndefined()
        const sums = await sumSource(database.db, day, ranges)
        const counts = sums.map(({ totals }) => Number(totals.purchases))
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(rows.length)
        for (const [index, count] of counts.entries()) {
          const users = [...perUser].filter(([user, purchases]) => {
            const { from, to } = ranges[index] ?? {}
            return (
              purchases > 0 && (from === undefined || user >= BigInt(from)) && (to === undefined || user < BigInt(to))
            )
          })
          const next = ranges[index]?.to
          if (next !== undefined) expect(count).toBeGreaterThan(0)
          if (read.accessPath === "day-scan") {
            // Cut where a user begins who is nearest to the mark.
            expect(count).toBeLessThanOrEqual(shardPurchases + Math.max(0, ...perUser.values()))
            continue
          }
          // Over the mark only where one user alone is; under it by less than the user who would not fit any more.
          if (count > shardPurchases) expect(users).toHaveLength(1)
          const refused = next === undefined ? undefined : perUser.get(BigInt(next))
          if (refused !== undefined) expect(count + refused).toBeGreaterThan(shardPurchases)
        }
      }),
      { numRuns: 40 },
    )
  })

  test("a day without purchases is one range of all ids", async () => {
    expect(await Array.fromAsync(planRanges(database.db, day, { shardPurchases: 100 }))).toEqual([
      { from: undefined, to: undefined },
    ])
  })

  test("guests are in no shard and are counted apart", async () => {
    await database.query(
      insertPurchases([
        [null, 100, "2026-11-22 08:00:00"],
        [null, -30, "2026-11-22 09:00:00"],
        [1, 7, "2026-11-22 10:00:00"],
      ]),
    )
    const ranges = await Array.fromAsync(planRanges(database.db, day, { shardPurchases: 1 }))
    expect(ranges).toHaveLength(1)
    expect(await sumSource(database.db, day, ranges)).toMatchObject([{ totals: { purchases: 1n, amountCents: 7n } }])
    expect(await sumGuests(database.db, day)).toEqual({ purchases: 2n, amountCents: 70n, parts: [] })
  })

  test("a day in another time zone takes from two UTC dates what lies between its midnights, in equal shards", async () => {
    const inside = Array.from({ length: 600 }, (_, n): [number, number, string] => [
      (n * 37) % 200,
      1,
      n % 3 === 0 ? "2026-11-21 23:30:00" : "2026-11-22 22:59:59",
    ])
    await database.query(
      insertPurchases([
        ...inside,
        [1, 1000, "2026-11-21 22:59:59"],
        [null, 5, "2026-11-21 23:00:00"],
        [199, 1000, "2026-11-22 23:00:00"],
      ]),
    )
    const ranges = await Array.fromAsync(planRanges(database.db, berlinDay, { shardPurchases: 100 }))
    expect(findGap(ranges)).toBeUndefined()
    const sums = await sumSource(database.db, berlinDay, ranges)
    expect(sums.reduce((sum, { totals }) => sum + (totals.amountCents ?? 0n), 0n)).toBe(600n)
    expect(await sumGuests(database.db, berlinDay)).toEqual({ purchases: 1n, amountCents: 5n, parts: [] })
    for (const { totals } of sums.slice(0, -1)) {
      expect(Number(totals.purchases)).toBeGreaterThanOrEqual(80)
      expect(Number(totals.purchases)).toBeLessThanOrEqual(125)
    }
  })
})
