import { expect, test } from "vitest"
import { sumSource } from "../../services/finalizer/proof/sum-source.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { sampleUsers } from "../../services/planner/sample-users.ts"
import { sizeShards } from "../../services/planner/size-shards.ts"
import { utc } from "../fixtures/any-purchases.ts"
import { useTestDatabase } from "../fixtures/test-database.ts"
import { timeShopRead, timeShopTables } from "../fixtures/user-shop.ts"

const PURCHASES = 100_000
const numbers = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(" UNION ALL ")
// A day before it, too, and users who differ in how much they buy.
const database = useTestDatabase(
  ...timeShopTables,
  `INSERT INTO purchases (user_id, amount_cents, purchased_at) WITH digits AS (${numbers})
   SELECT FLOOR(POW((a.d + 10 * b.d + 100 * c.d + 1000 * e.d) / 100, 2)), 100, '2026-11-21' + INTERVAL g.d DAY + INTERVAL f.d HOUR
   FROM digits a, digits b, digits c, digits e, digits f, digits g WHERE g.d < 2`,
  "ANALYZE TABLE purchases",
)
const day = { ...utc, ...timeShopRead, checksumMultipliers: null }

test("a sample of a day that is too big to be read whole stands for all of it, and cuts equal shards", async () => {
  const shardPurchases = PURCHASES / 5
  const users = await sampleUsers(database.db, day, {}, shardPurchases)
  const all = users.reduce((sum, { rows }) => sum + rows, 0)
  expect(users.length).toBeLessThan(9_000)
  // Twenty thousand are sampled: a standard error of less than one in a hundred.
  expect(all).toBeGreaterThan(PURCHASES * 0.95)
  expect(all).toBeLessThan(PURCHASES * 1.05)

  const ranges = await Array.fromAsync(planRanges(database.db, day, { shardPurchases }))
  const sums = await sumSource(database.db, day, ranges)
  const counts = sums.map(({ totals }) => Number(totals.purchases))
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(PURCHASES)
  expect([5, 6]).toContain(counts.length)
  for (const count of counts) expect(count).toBeLessThan(shardPurchases * 1.15)
})

test("a day has a shard for each task, of 250,000 purchases or more; a size that is set is obeyed, up to 1,000 shards", async () => {
  const options = { shardPurchases: "auto", shardsMax: 100_000 } as const
  expect(await sizeShards(database.db, day, 10, options)).toBe(250_000)
  expect(await sizeShards(database.db, day, 10, { ...options, shardPurchases: 400 })).toBe(400)
  await expect(sizeShards(database.db, day, 10, { ...options, shardPurchases: 40 })).rejects.toThrow(
    "more than 1000 shards",
  )
})
