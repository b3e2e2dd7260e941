import { sql } from "drizzle-orm"
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest"
import { openShop } from "../../../schemas/database/shop.ts"
import { listSliceDdl } from "../../../schemas/database/shop-ddl.ts"
import { parseShopDeclaration } from "../../../schemas/database/shop-declaration.ts"
import { layOutShop } from "../../../schemas/database/shop-layout.ts"
import { openDatabase } from "../../../shared/database/open-database.ts"
import { chooseRead } from "../../../shared/day/choose-read.ts"
import { PermanentError } from "../../../shared/errors.ts"
import { utc as day } from "../../fixtures/any-purchases.ts"
import {
  createTestDatabase,
  insertPurchases,
  kindOf,
  shopTables,
  type TestDatabase,
} from "../../fixtures/test-database.ts"

let database: TestDatabase

beforeEach(async () => {
  database = await createTestDatabase()
})
afterEach(() => database.drop())

// As if every table were big.
const find = () => chooseRead(database.db, day, { scanRowsMax: 0 })

test("the index of the day's slices is found, on a table with rows and on an empty one", async () => {
  await database.query(...shopTables)
  expect(await find()).toEqual({ sourceIndex: "purchases_day_slice", accessPath: "day-slice" })
  await database.query(insertPurchases([[1, 1, "2026-11-22 12:00:00"]]))
  expect(await find()).toEqual({ sourceIndex: "purchases_day_slice", accessPath: "day-slice" })
})

test("an index of another name that begins with date and user will do; the covering one is preferred", async () => {
  await database.query(...shopTables, "ALTER TABLE purchases DROP KEY purchases_day_slice")
  await database.query("CREATE INDEX by_day ON purchases (purchased_on, user_id)")
  expect(await find()).toEqual({ sourceIndex: "by_day", accessPath: "day-slice" })
  await database.query(
    "CREATE INDEX zz_day ON purchases (purchased_on, user_id, purchased_at, amount_cents, purchase_id)",
  )
  expect(await find()).toEqual({ sourceIndex: "zz_day", accessPath: "day-slice" })
})

/** A shop without the date, and with no index but that of its ids. */
const plainPurchases = `CREATE TABLE purchases (
  purchase_id BIGINT AUTO_INCREMENT PRIMARY KEY, user_id BIGINT NULL, amount_cents BIGINT NOT NULL,
  purchased_at DATETIME NOT NULL)`
const byUser = { sourceIndex: "by_user", accessPath: "user-batches" }

test("a shop that has only an index of each user's purchases is read in batches of users, the covering one first", async () => {
  await database.query(plainPurchases, "CREATE INDEX by_user ON purchases (user_id, purchased_at)")
  expect(await find()).toEqual(byUser)
  await database.query(insertPurchases([[1, 1, "2026-11-22 12:00:00"]]))
  expect(await find()).toEqual(byUser)
  await database.query("CREATE INDEX zz_user ON purchases (user_id, purchased_at, amount_cents)")
  expect(await find()).toEqual({ sourceIndex: "zz_user", accessPath: "user-batches" })
})

test("an index of the day is preferred to one of each user's purchases", async () => {
  await database.query(...shopTables, "CREATE INDEX a_user ON purchases (user_id, purchased_at, amount_cents)")
  expect(await find()).toEqual({ sourceIndex: "purchases_day_slice", accessPath: "day-slice" })
})

const byTime = { sourceIndex: "by_time", accessPath: "day-scan" }

test("a shop with an index of its time is read as it is, and a small one without any", async () => {
  await database.query(plainPurchases)
  expect(await chooseRead(database.db, day)).toEqual({ sourceIndex: "", accessPath: "day-scan" })
  await database.query("CREATE INDEX by_user ON purchases (user_id, purchased_at)")
  expect(await chooseRead(database.db, day)).toEqual({ sourceIndex: "", accessPath: "day-scan" })
  await database.query("CREATE INDEX by_time ON purchases (purchased_at)")
  expect(await find()).toEqual(byTime)
  await database.query(insertPurchases([[1, 1, "2026-11-22 12:00:00"]]))
  expect(await find()).toEqual(byTime)
})

test("of two indexes of the time the one that has all that is read is preferred", async () => {
  await database.query(plainPurchases, "CREATE INDEX by_time ON purchases (purchased_at)")
  await database.query("CREATE INDEX zz_time ON purchases (purchased_at, user_id, amount_cents)")
  expect(await find()).toEqual({ sourceIndex: "zz_time", accessPath: "day-scan" })
})

test("a table of more rows than may be read without an index is refused with one", async () => {
  const rows = Array.from({ length: 3_000 }, (_row, n): [number, number, string] => [n, 1, "2026-11-22 12:00:00"])
  await database.query(plainPurchases, insertPurchases(rows), "ANALYZE TABLE purchases")
  expect(await chooseRead(database.db, day, { scanRowsMax: 4_000 })).toMatchObject({ accessPath: "day-scan" })
  await expect(chooseRead(database.db, day, { scanRowsMax: 2_000 })).rejects.toThrow(PermanentError)
})

test("an index of the day that another declaration made is left alone, and the shop read as it is", async () => {
  const layout = layOutShop(
    parseShopDeclaration(
      "table: purchases\nuser: {column: user_id}\namount: {expression: amount_cents, scale: 0}\ntime: {column: purchased_at, kind: utc}",
    ),
  )
  const declared = { ...day, shop: openShop(layout) }
  await database.query(plainPurchases, "CREATE INDEX by_time ON purchases (purchased_at)", ...listSliceDdl(layout))
  expect(await chooseRead(database.db, declared)).toEqual({ sourceIndex: "daybook_day", accessPath: "day-slice" })
  await database.query("ALTER TABLE purchases MODIFY daybook_on DATE AS (DATE(purchased_at)) VIRTUAL COMMENT 'another'")
  expect(await chooseRead(database.db, declared)).toEqual(byTime)
})

test("an index of the users that cannot tell the days apart is no way to read one", async () => {
  await database.query(plainPurchases, "CREATE INDEX by_user ON purchases (user_id, amount_cents, purchased_at)")
  await expect(find()).rejects.toThrow("no index of purchases begins with its time (purchased_at)")
})

test.each([
  [
    "user_id VARCHAR(20) NULL",
    /user_id is varchar\(20\) collate .*, and users are read as BIGINT.* userType: "varchar\(20\) collate /,
  ],
  ["amount_cents DECIMAL(26,8) NOT NULL", /amount_cents is decimal\(26,8\), .* declare its scale in a SHOP_FILE/],
  ["amount_cents DOUBLE NOT NULL", "purchases.amount_cents is double, and amounts are read as whole minor units"],
  ["purchased_at DATE NOT NULL", "purchases.purchased_at is date, and times are read as DATETIME in UTC"],
])("a column that cannot be read exactly is refused: %s", async (column, message) => {
  await database.query(plainPurchases, "CREATE INDEX by_user ON purchases (user_id, purchased_at)")
  await database.query(`ALTER TABLE purchases MODIFY ${column}`)
  await expect(find()).rejects.toThrow(message)
  await expect(find()).rejects.toThrow(PermanentError)
})

test("a date that is generated from a TIMESTAMP is not read by: it depends on who wrote the row", async () => {
  await database.query(...shopTables, "ALTER TABLE purchases DROP KEY purchases_day_slice, DROP COLUMN purchased_on")
  await database.query("ALTER TABLE purchases MODIFY purchased_at TIMESTAMP NOT NULL")
  await database.query("CREATE INDEX by_user ON purchases (user_id, purchased_at)")
  expect(await find()).toEqual(byUser)
  // MariaDB allows what MySQL refuses.
  const added = await database
    .query("ALTER TABLE purchases ADD COLUMN purchased_on DATE AS (DATE(purchased_at)) VIRTUAL")
    .then(
      () => true,
      () => false,
    )
  // Nor would its index be one of the day.
  if (added) await database.query("CREATE INDEX by_day ON purchases (purchased_on, user_id)")
  expect(await find()).toEqual(byUser)
})

test.each(["", " UNSIGNED"])("amounts and ids of every integer type are read: %s", async (sign) => {
  await database.query(plainPurchases, "CREATE INDEX by_user ON purchases (user_id, purchased_at)")
  await database.query(
    `ALTER TABLE purchases MODIFY user_id INT${sign} NULL, MODIFY amount_cents DECIMAL(20,0) NOT NULL`,
  )
  expect(await find()).toEqual(byUser)
})

test.each([
  ["makes a join of a batch", "in_predicate_conversion_threshold = 100", "mariadb"],
  ["gives up on the ranges of a batch", "optimizer_max_sel_arg_weight = 700", "mariadb"],
  ["gives up on the ranges of a batch", "range_optimizer_max_mem_size = 10000", "mysql"],
])("a server that %s (%s) is not read in batches", async (_, setting, kind) => {
  if ((await kindOf(database)) !== kind) return
  await database.query(plainPurchases, "CREATE INDEX by_user ON purchases (user_id, purchased_at)")
  // Of a small table MySQL reads the whole index anyhow.
  const rows = Array.from({ length: 3_000 }, (_row, n): [number, number, string] => [n % 600, 1, "2026-11-22 12:00:00"])
  await database.query(insertPurchases(rows), "ANALYZE TABLE purchases")
  const { db, close } = openDatabase({ url: database.url, connectionsMax: 1 })
  onTestFinished(close)
  await db.execute(sql.raw(`SET SESSION ${setting}`))
  await expect(chooseRead(db, day, { scanRowsMax: 0 })).rejects.toThrow(/EXPLAIN says .* in spite of its index by_user/)
})

test("an empty shop, and one of some hundred purchases, is read like a big one", async () => {
  await database.query(...shopTables)
  for (const count of [0, 1, 300, 5_000]) {
    const rows = Array.from({ length: count }, (_row, n): [number, number, string] => [n, 1, "2026-11-22 12:00:00"])
    if (count > 0) await database.query("DELETE FROM purchases", insertPurchases(rows), "ANALYZE TABLE purchases")
    expect(await find()).toEqual({ sourceIndex: "purchases_day_slice", accessPath: "day-slice" })
  }
})

test("an index that the server hides from queries is passed over for the next", async () => {
  await database.query(...shopTables, "CREATE INDEX zz_day ON purchases (purchased_on, user_id)")
  const hidden = (await kindOf(database)) === "mysql" ? "INVISIBLE" : "IGNORED"
  await database.query(`ALTER TABLE purchases ALTER INDEX purchases_day_slice ${hidden}`)
  expect(await find()).toEqual({ sourceIndex: "zz_day", accessPath: "day-slice" })
})

test("without any such index the run is refused with one plain index first, and with what an index of the day takes", async () => {
  await database.query(plainPurchases, "CREATE INDEX by_user ON purchases (user_id)")
  await expect(find()).rejects.toThrow(PermanentError)
  const refusal = await find().then(() => "none", String)
  const [, plain = "", slices = ""] =
    /date again: (CREATE INDEX .*)\. For days .*: (ALTER TABLE .*)$/.exec(refusal) ?? []
  expect(plain).toBe("CREATE INDEX daybook_purchased_at ON purchases (purchased_at) ALGORITHM=INPLACE LOCK=NONE")
  await database.query(plain)
  expect(await find()).toEqual({ sourceIndex: "daybook_purchased_at", accessPath: "day-scan" })
  await database.query(...slices.split("; "))
  expect(await find()).toEqual({ sourceIndex: "purchases_day_slice", accessPath: "day-slice" })
})

test("a view is told to be one, and not to want an index", async () => {
  await database.query(...shopTables, "RENAME TABLE purchases TO purchases_all")
  await database.query("CREATE VIEW purchases AS SELECT * FROM purchases_all")
  await expect(find()).rejects.toThrow(/^purchases is a view, and a view has no index/)
})

test("a missing table or column is named", async () => {
  await expect(find()).rejects.toThrow(PermanentError)
  await expect(find()).rejects.toThrow(/purchases' doesn't exist/)
  await database.query("CREATE TABLE purchases (purchase_id BIGINT PRIMARY KEY, user_id BIGINT, amount_cents BIGINT)")
  await expect(find()).rejects.toThrow(/Unknown column .*purchased_at/)
})
