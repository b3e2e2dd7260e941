import { createConnection } from "mysql2/promise"
import { afterAll, beforeAll, expect, test } from "vitest"
import { type CheckedDay, sumSource } from "../../services/finalizer/proof/sum-source.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { allRows, type Database, openDatabase } from "../../shared/database/open-database.ts"
import { findGap } from "../../shared/range.ts"
import { fillDay } from "../bench/fill-day.ts"
import { berlin, utc } from "../fixtures/any-purchases.ts"
import { createTestDatabase, shopTables, type TestDatabase } from "../fixtures/test-database.ts"

/* A day that is too big to be read for its plan. */

const SHARD = 10_000
const PURCHASES = 120_000

// A tenth is one user's, some ids are far from all others, and the rest is spread unevenly.
const user = `CASE WHEN MOD(n, 10) = 0 THEN 350000 WHEN MOD(n, 10) = 1 THEN 9000000000000000000 + MOD(n * 7919, 5021)
  WHEN MOD(n, 10) < 5 THEN MOD(n * 7919, 20011) ELSE MOD(n * 7919, 100003) * 7 END`

const read = { sourceIndex: "purchases_day_slice", accessPath: "day-slice", checksumMultipliers: null } as const
const utcDay: CheckedDay = { ...utc, ...read }
const berlinDay: CheckedDay = { ...berlin, ...read }

let database: TestDatabase
let planner: { db: Database; close: () => Promise<void> }
beforeAll(async () => {
  database = await createTestDatabase()
  await database.query(...shopTables)
  // Of a table that is one day the optimizer says too little.
  for (const date of ["2026-11-20", "2026-11-21", "2026-11-22"]) await fillDay(database, date, PURCHASES, user)
  // One connection: what it reads is counted.
  planner = openDatabase({ url: database.url, connectionsMax: 1 })
}, 60_000)
afterAll(async () => {
  await planner.close()
  await database.drop()
})

async function readRows(): Promise<number> {
  const query =
    "SHOW SESSION STATUS WHERE Variable_name IN ('Handler_read_next', 'Handler_read_prev', 'Handler_read_key')"
  return allRows<{ Value: string }>(await planner.db.execute(query)).reduce((sum, row) => sum + Number(row.Value), 0)
}

async function plan(day: CheckedDay) {
  const before = await readRows()
  const ranges = await Array.fromAsync(planRanges(planner.db, day, { shardPurchases: SHARD }))
  const rowsRead = (await readRows()) - before
  expect(findGap(ranges)).toBeUndefined()
  const sizes = (await sumSource(database.db, day, ranges)).map(({ totals }) => Number(totals.purchases))
  return { ranges, rowsRead, sizes, purchases: sizes.reduce((sum, size) => sum + size, 0) }
}

const bigOnes = (sizes: number[]) => sizes.filter((size) => size > SHARD * 1.3).length
// One before the user who has more than a shard, and the last.
const smallOnes = (sizes: number[]) => sizes.filter((size) => size < SHARD * 0.6).length

test.each([
  ["UTC", utcDay],
  ["another time zone", berlinDay],
])("is cut into equal shards by the optimizer's estimates, hardly any of it read: %s", async (_zone, day) => {
  const { rowsRead, sizes, purchases } = await plan(day)
  expect(purchases).toBe(PURCHASES)
  expect(rowsRead).toBeLessThan(PURCHASES * 0.05)
  expect(Math.min(...sizes)).toBeGreaterThan(0)
  // Hers is one and a fifth, and nobody else's is with it.
  expect(Math.max(...sizes)).toBeLessThan(SHARD * 1.25)
  expect(smallOnes(sizes)).toBeLessThanOrEqual(2)
})

test("goes on from where a planner has died", async () => {
  const known = (await plan(utcDay)).ranges.slice(0, 4)
  const options = { shardPurchases: SHARD, from: known.at(-1)?.to }
  const rest = await Array.fromAsync(planRanges(planner.db, utcDay, options))
  expect(findGap([...known, ...rest])).toBeUndefined()
  const sizes = (await sumSource(database.db, utcDay, rest)).map(({ totals }) => Number(totals.purchases))
  expect(bigOnes(sizes)).toBeLessThanOrEqual(1)
})

test("is read where the index still has what was deleted", async () => {
  const reader = await createConnection({ uri: database.url })
  try {
    // As long as somebody may look at them, the servers keep deleted rows in the index.
    await reader.query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    await reader.query("SELECT 1 FROM purchases LIMIT 1")
    await database.query("DELETE FROM purchases WHERE user_id < 300000 AND MOD(user_id, 10) > 0")
    const { rowsRead, sizes, purchases } = await plan(utcDay)
    expect(rowsRead).toBeGreaterThan(purchases * 0.9)
    expect(bigOnes(sizes)).toBeLessThanOrEqual(1)
    expect(smallOnes(sizes)).toBeLessThanOrEqual(2)
  } finally {
    await reader.end()
  }
})
