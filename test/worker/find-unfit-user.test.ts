import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { findUnfitUser } from "../../services/worker/find-unfit-user.ts"
import { createTestDatabase, insertPurchases, shopTables, type TestDatabase } from "../fixtures/test-database.ts"
import { newRun } from "../fixtures/test-run.ts"
import { userShopRead, userShopTables } from "../fixtures/user-shop.ts"

const at = "2026-11-22 10:00:00"
const max = 2n ** 63n - 1n
const outOfRange = Object.assign(new Error("Out of range value"), { errno: 1264 })

describe.each([
  { tables: shopTables, read: {} },
  { tables: userShopTables, read: userShopRead },
])("in a shop read by $read.accessPath", ({ tables, read }) => {
  let shop: TestDatabase
  const day = newRun(read)

  beforeAll(async () => {
    shop = await createTestDatabase()
    await shop.query(...tables)
    await shop.query(
      insertPurchases([
        [1, max, at],
        [2, max, at],
        [2, 1n, at],
        [3, -max, at],
        [3, -2n, at],
        [4, max, at],
        [4, 5n, "2026-11-23 00:00:00"],
        [null, max, at],
        [null, max, at],
      ]),
    )
  })
  afterAll(() => shop.drop())

  test("the user whose sum does not fit is named with it, at either end", async () => {
    const first = await findUnfitUser(shop.db, day, {}, outOfRange)
    expect(first).toContain("user 2 spent 9223372036854775808 in 2 purchases")
    const negative = await findUnfitUser(
      shop.db,
      day,
      { from: 3n, to: undefined },
      new Error("q", { cause: outOfRange }),
    )
    expect(negative).toContain("user 3 spent -9223372036854775809 in 2 purchases")
  })

  test("nobody is named where all sums fit, or the shard failed for another reason", async () => {
    expect(await findUnfitUser(shop.db, day, { from: 4n, to: undefined }, outOfRange)).toBeUndefined()
    expect(await findUnfitUser(shop.db, day, {}, new Error("something else"))).toBeUndefined()
  })
})
