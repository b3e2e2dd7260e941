import { afterAll, beforeAll, expect, test } from "vitest"
import { openShop, type Shop } from "../../schemas/database/shop.ts"
import { listSliceDdl } from "../../schemas/database/shop-ddl.ts"
import { parseShopDeclaration } from "../../schemas/database/shop-declaration.ts"
import { layOutShop } from "../../schemas/database/shop-layout.ts"
import { examineRange } from "../../services/finalizer/proof/examine-range.ts"
import { sumSource } from "../../services/finalizer/proof/sum-source.ts"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { computeShards } from "../../services/worker/compute-shards.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { sumRows } from "../../shared/day/revenue-rows.ts"
import { sameTotals } from "../../shared/day/totals.ts"
import { createRun } from "../../shared/ledger/runs/create-run.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { claim } from "../fixtures/play-run.ts"
import { asText, createTestDatabase, type TestDatabase } from "../fixtures/test-database.ts"
import { newRun, openFirstDispatch } from "../fixtures/test-run.ts"

const date = "2026-11-22"

/** Shops that differ in all that Revenue and the queries are built from. */
const declarations = {
  texts: {
    declaration: `
userType: varchar(40) collate utf8mb4_bin
table: orders
user: {column: email, guest: ''}
amount: {expression: total, scale: 3}
time: {column: placed_at, kind: utc}
currency: currency
measures: {tax: {expression: tax, scale: 3}}
`,
    tables: [
      `CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(40) COLLATE utf8mb4_bin NOT NULL,
        total DECIMAL(12,3) NOT NULL, tax DECIMAL(12,3) NOT NULL, currency CHAR(3) NOT NULL, placed_at DATETIME NOT NULL)`,
      `INSERT INTO orders (email, total, tax, currency, placed_at) VALUES
        ('ann', 1.234, 0.1, 'KWD', '${date} 10:00:00'), ('ann', 2.5, 0.2, 'EUR', '${date} 11:00:00'),
        ('Ann', 3, 0, 'EUR', '${date} 12:00:00'), ('bob', -1, 0, 'EUR', '${date} 13:00:00'), ('', 9, 1, 'EUR', '${date} 13:00:00')`,
    ],
    rows: ["Ann,EUR,3000,1,0", "ann,EUR,2500,1,200", "ann,KWD,1234,1,100", "bob,EUR,-1000,1,0"],
    select: "SELECT user_id, currency, amount_cents, purchases, tax FROM revenue_versions ORDER BY 1, 2",
    spoil: "UPDATE orders SET total = 4 WHERE email = 'Ann'",
    differing: ["Ann"],
  },
  numbers: {
    declaration: `
userType: bigint unsigned
table: sales
user: {column: buyer}
amount: {expression: cents, scale: 0}
time: {column: at, kind: epoch-seconds}
`,
    tables: [
      "CREATE TABLE sales (id INT AUTO_INCREMENT PRIMARY KEY, buyer BIGINT UNSIGNED NULL, cents INT NOT NULL, at BIGINT NOT NULL)",
      `INSERT INTO sales (buyer, cents, at) VALUES
        (7, 5, UNIX_TIMESTAMP('${date} 10:00:00')), (7, 6, UNIX_TIMESTAMP('${date} 11:00:00')),
        (18446744073709551615, 1, UNIX_TIMESTAMP('${date} 12:00:00')), (NULL, 9, UNIX_TIMESTAMP('${date} 12:00:00'))`,
    ],
    rows: ["7,11,2", "18446744073709551615,1,1"],
    select: "SELECT user_id, amount_cents, purchases FROM revenue_versions ORDER BY 1",
    spoil: "DELETE FROM sales WHERE buyer = 18446744073709551615",
    differing: [18446744073709551615n],
  },
}
type Declared = (typeof declarations)[keyof typeof declarations]

const shops = Object.values(declarations).map((declared) => ({
  declared,
  shop: openShop(layOutShop(parseShopDeclaration(declared.declaration))),
}))
let databases: TestDatabase[] = []
beforeAll(async () => {
  databases = await Promise.all(shops.map(() => createTestDatabase()))
})
afterAll(() => Promise.all(databases.map((database) => database.drop())))

test("one process computes and proves days of two declarations at the same time", async () => {
  await Promise.all(shops.map(({ declared, shop }, at) => computeDay(databases[at] as TestDatabase, declared, shop)))
})

async function computeDay(database: TestDatabase, declared: Declared, shop: Shop): Promise<void> {
  const { db, url } = database
  await database.query(...declared.tables, ...listSliceDdl(shop.layout))
  await migrateDatabase(url, {}, { layout: shop.layout })
  const day = { ...newRun(), shop }
  const run = { ...(await createRun(db, { ...day, ...(await chooseRead(db, day)) })), shop }
  const ranges = await Array.fromAsync(planRanges(db, run, { shardPurchases: 2 }))
  expect(ranges.length).toBeGreaterThan(1)
  await openFirstDispatch(db, run, ranges)
  for (const { shardIndex } of await listShards(db, run.runId)) {
    await computeShards(db, run, [await claim(db, run, shardIndex, 0)])
  }
  expect(asText(await database.query(declared.select))).toEqual(declared.rows)

  const [rows, source] = [await sumRows(db, run, ranges), await sumSource(db, run, ranges)]
  expect(rows.map(({ checksum }) => checksum)).toEqual(source.map(({ checksum }) => checksum))
  for (const [at, { totals }] of rows.entries()) expect(source[at] && sameTotals(totals, source[at].totals)).toBe(true)
  expect((await examineRange(db, db, run, {})).users).toEqual([])
  await database.query(declared.spoil)
  expect((await examineRange(db, db, run, {})).users.map(({ userId }) => userId)).toEqual(declared.differing)
}
