import type { SQL } from "drizzle-orm"
import * as fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { UserId } from "../../schemas/database/user-type.ts"
import { type CheckedDay, sumGuests, sumSource } from "../../services/finalizer/proof/sum-source.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { computeShard } from "../../services/worker/compute-shards.ts"
import type { CopyOptions } from "../../services/worker/copy-rows.ts"
import { type ExplainRow, explain } from "../../shared/database/dialect.ts"
import { allRows, type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"
import { selectRevenueCells } from "../../shared/day/shop-day.ts"
import { listBuyers, ofUsers, selectBuyers, USERS_PER_BATCH } from "../../shared/day/user-batches.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import type { Range } from "../../shared/range.ts"
import { anyCuts, anyPurchases, berlin, utc } from "../fixtures/any-purchases.ts"
import { claim } from "../fixtures/play-run.ts"
import { asText, createTestDatabase, insertPurchases, type TestDatabase } from "../fixtures/test-database.ts"
import { beginRun, cutAt, testDate } from "../fixtures/test-run.ts"
import { fillUserShop, userShopRead, userShopTables } from "../fixtures/user-shop.ts"

/** Holds ledger, Revenue and a shop. */
let database: TestDatabase
/** Holds ledger and Revenue, and finds the shop at the other. */
let revenue: TestDatabase
let source: DatabaseConnection

beforeAll(async () => {
  database = await createTestDatabase()
  await database.query(...userShopTables)
  revenue = await createTestDatabase()
  source = openDatabase({ url: database.url, connectionsMax: 1, readOnly: true })
})
afterAll(async () => {
  await source.close()
  await Promise.all([database.drop(), revenue.drop()])
})

const day: CheckedDay = { ...utc, ...userShopRead, checksumMultipliers: null }

const expected = async (of: { fromAt: Date; toAt: Date }) => {
  const [from, to] = [of.fromAt, of.toAt].map((at) => at.toISOString().slice(0, 19).replace("T", " "))
  return asText(
    await database.query(`SELECT user_id, SUM(amount_cents), COUNT(*) FROM purchases
      WHERE purchased_at >= '${from}' AND purchased_at < '${to}' AND user_id IS NOT NULL
      GROUP BY user_id ORDER BY user_id`),
  )
}

/** Computes every shard of a run with these ranges, and returns the rows that they wrote. */
async function computeAll(into: TestDatabase, ranges: Range[], of = utc, options?: CopyOptions): Promise<string[]> {
  await into.forgetRuns()
  const run = await beginRun(into.db, ranges, { ...of, ...userShopRead })
  for (const { shardIndex } of await listShards(into.db, run.runId)) {
    await computeShard(
      into.db,
      run,
      await claim(into.db, run, shardIndex, 0),
      into === revenue ? source.pool : undefined,
      options,
    )
  }
  return asText(await into.query("SELECT user_id, amount_cents, purchases FROM revenue_versions ORDER BY user_id"))
}

test.each([
  ["inside the database", () => database],
  ["travelling from another server", () => revenue],
])("batches of users write together exactly what one GROUP BY gives, for any cut and day, %s", async (_, into) => {
  await fc.assert(
    fc.asyncProperty(
      anyPurchases,
      anyCuts,
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(utc, berlin),
      async (purchases, cuts, rowsPerInsert, of) => {
        await database.query("DELETE FROM purchases", insertPurchases(purchases))
        const ranges = cutAt(...cuts.toSorted((a, b) => (a < b ? -1 : 1)))
        expect(await computeAll(into(), ranges, of, { rowsPerInsert })).toEqual(await expected(of))
      },
    ),
    { numRuns: 20 },
  )
})

describe("a shop with history", () => {
  beforeAll(() => database.query("DELETE FROM purchases", ...fillUserShop(testDate, 20), "ANALYZE TABLE purchases"))

  test.each([
    ["inside the database", () => database],
    ["travelling from another server", () => revenue],
  ])("is planned, computed and verified alike, %s", async (_, into) => {
    const ranges = await Array.fromAsync(planRanges(database.db, day, { shardPurchases: 400 }))
    expect(ranges.length).toBeGreaterThan(5)
    const rows = await expected(utc)
    expect(rows.length).toBeGreaterThan(2 * USERS_PER_BATCH)
    expect(await computeAll(into(), ranges)).toEqual(rows)
    const sums = await sumSource(database.db, day, ranges)
    expect(Math.max(...sums.map((sum) => Number(sum.totals.purchases)))).toBeLessThanOrEqual(400)
    const [all] = await sumSource(database.db, day, [{}])
    expect(all?.totals.purchases).toBe(sums.reduce((sum, { totals }) => sum + totals.purchases, 0n))
    expect((await sumGuests(database.db, day)).purchases).toBe(30n)
  })

  test("is known by its purchases: who bought on the day is found, in users or not, and nobody else", async () => {
    const buyers: UserId[] = []
    for await (const batch of listBuyers(database.db, day, { from: -3000n, to: 7500n })) {
      expect(batch.length).toBeLessThanOrEqual(USERS_PER_BATCH)
      buyers.push(...batch)
    }
    const bought = await database.query<{ user_id: string }>(`SELECT DISTINCT user_id FROM purchases
      WHERE DATE(purchased_at) = '${testDate}' AND user_id BETWEEN -3000 AND 7499 ORDER BY user_id`)
    expect(buyers).toEqual(bought.map((row) => BigInt(row.user_id)))
    const unknown = await database.query(`SELECT 1 FROM purchases WHERE DATE(purchased_at) = '${testDate}'
      AND user_id NOT IN (SELECT user_id FROM users)`)
    expect(unknown.length).toBeGreaterThan(100)
  })

  test("is searched for buyers by a loose scan, and each user of a full batch is a range, as EXPLAIN says", async () => {
    const explained = async (query: SQL) =>
      allRows<ExplainRow & { key: string; Extra: string }>(await source.db.execute(explain(query)))
    expect(await explained(selectBuyers(day, {}))).toMatchObject([
      { type: "range", key: "purchases_by_user", Extra: expect.stringContaining("Using index for group-by") as string },
    ])
    const userIds = Array.from({ length: USERS_PER_BATCH }, (_, index) => BigInt(index) * 7n - 3000n)
    expect(await explained(selectRevenueCells(day, ofUsers(day, userIds)))).toMatchObject([
      // Both columns of the index: 8 bytes of the user and 1 as it may be null, 5 of the time.
      { type: "range", key: "purchases_by_user", key_len: "14" },
    ])
  })

  test("costs two looks at each user, one at each buyer and one at each purchase, and none at the history", async () => {
    const before = await countReads()
    await Array.fromAsync(planRanges(source.db, day, { shardPurchases: 400 }))
    const reads = (await countReads()) - before
    const buyers = (await expected(utc)).length
    const purchases = await database.query(
      `SELECT 1 FROM purchases WHERE DATE(purchased_at) = '${testDate}' AND user_id IS NOT NULL`,
    )
    const users = 1_500 + 2
    expect(reads).toBeGreaterThan(purchases.length)
    expect(reads).toBeLessThan(2 * users + buyers + purchases.length + 100)
  })
})

/** Rows that the connection to the source has been given by the storage engine. */
async function countReads(): Promise<number> {
  const rows = allRows<{ Value: string }>(await source.db.execute("SHOW SESSION STATUS LIKE 'Handler_read_%'"))
  return rows.reduce((sum, { Value }) => sum + Number(Value), 0)
}
