import { afterEach, beforeEach, expect, test } from "vitest"
import { findSourceIndex } from "../../services/planner/inspect-source.ts"
import { PermanentError } from "../../shared/errors.ts"
import { createTestDatabase, insertPurchases, shopTables, type TestDatabase } from "../test-database.ts"

let database: TestDatabase

beforeEach(async () => {
  database = await createTestDatabase()
})
afterEach(() => database.drop())

const day = { fromAt: new Date("2026-11-22T00:00:00Z"), toAt: new Date("2026-11-23T00:00:00Z") }
const find = () => findSourceIndex(database.db, day)

test("the index of the day's slices is found, on a table with rows and on an empty one", async () => {
  await database.query(...shopTables)
  expect(await find()).toBe("purchases_day_slice")
  await database.query(insertPurchases([[1, 1, "2026-11-22 12:00:00"]]))
  expect(await find()).toBe("purchases_day_slice")
})

test("an index of another name that begins with date and user will do; the covering one is preferred", async () => {
  await database.query(...shopTables, "ALTER TABLE purchases DROP KEY purchases_day_slice")
  await database.query("CREATE INDEX by_day ON purchases (purchased_on, user_id)")
  expect(await find()).toBe("by_day")
  await database.query(
    "CREATE INDEX zz_day ON purchases (purchased_on, user_id, purchased_at, amount_cents, purchase_id)",
  )
  expect(await find()).toBe("zz_day")
})

test("without such an index the run is refused with the statement that adds it", async () => {
  await database.query(...shopTables, "ALTER TABLE purchases DROP KEY purchases_day_slice")
  await database.query("CREATE INDEX by_user ON purchases (user_id, purchased_at)")
  await expect(find()).rejects.toThrow(PermanentError)
  await expect(find()).rejects.toThrow(
    "CREATE INDEX purchases_day_slice ON purchases (purchased_on, user_id, purchased_at, amount_cents)",
  )
})

test("a missing table or column is named", async () => {
  await expect(find()).rejects.toThrow(PermanentError)
  await expect(find()).rejects.toThrow(/purchases' doesn't exist/)
  await database.query("CREATE TABLE purchases (purchase_id BIGINT PRIMARY KEY, user_id BIGINT, amount_cents BIGINT)")
  await expect(find()).rejects.toThrow(/Unknown column .*purchased_on/)
})
