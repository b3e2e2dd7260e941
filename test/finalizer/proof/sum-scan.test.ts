import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { openShop } from "../../../schemas/database/shop.ts"
import { parseShopDeclaration } from "../../../schemas/database/shop-declaration.ts"
import { layOutShop } from "../../../schemas/database/shop-layout.ts"
import { userLiteral } from "../../../schemas/database/user-type.ts"
import { sumScan } from "../../../services/finalizer/proof/sum-scan.ts"
import { sumGuests, sumSource } from "../../../services/finalizer/proof/sum-source.ts"
import { drawMultipliers, parseMultipliers } from "../../../shared/day/checksum.ts"
import { sameTotals } from "../../../shared/day/totals.ts"
import type { Range } from "../../../shared/range.ts"
import { anyCuts, anyPurchases, berlin, utc } from "../../fixtures/any-purchases.ts"
import { insertPurchases, useTestDatabase } from "../../fixtures/test-database.ts"
import { cutAt } from "../../fixtures/test-run.ts"
import { timeShopRead, timeShopTables } from "../../fixtures/user-shop.ts"

const database = useTestDatabase(...timeShopTables)
const checksumMultipliers = drawMultipliers()
const multipliers = parseMultipliers(checksumMultipliers)
const asked = { multipliers }
// So that a day of a few purchases is read in pieces.
const MANY = 3_500_000

describe.each([
  ["in UTC", utc],
  ["in Berlin", berlin],
])("a day %s", (_, of) => {
  const day = { ...of, ...timeShopRead, checksumMultipliers }

  test("comes to the same in one pass, in pieces of time, and shard by shard", async () => {
    await fc.assert(
      fc.asyncProperty(anyPurchases, anyCuts, async (purchases, cuts) => {
        await database.query("DELETE FROM purchases", insertPurchases(purchases))
        const ranges = cutAt(...cuts.toSorted((a, b) => (a < b ? -1 : 1)))
        // Each by itself.
        const each = await Promise.all(ranges.map(async (range) => (await sumSource(database.db, day, [range]))[0]))
        const guests = await sumGuests(database.db, day)
        expect(await sumScan(database.db, day, ranges, asked)).toEqual({ shards: each, guests })
        expect(await sumScan(database.db, day, ranges, { ...asked, purchases: MANY })).toEqual({ shards: each, guests })
      }),
      { numRuns: 25 },
    )
  })
})

test("pieces that are read one after the other are the shop as of one moment", async () => {
  const day = { ...utc, ...timeShopRead, checksumMultipliers }
  await database.query(
    "DELETE FROM purchases",
    insertPurchases([
      [1, 5, "2026-11-22 01:00:00"],
      [1, 7, "2026-11-22 23:00:00"],
    ]),
  )
  const before = await sumScan(database.db, day, [{}], asked)
  let looks = 0
  const pass = async () => {
    // Into a piece that was read, out of one that is still to be read.
    if (looks++ === 0)
      await database.query("UPDATE purchases SET purchased_at = '2026-11-22 00:30:00' WHERE amount_cents = 7")
    return true
  }
  expect(await sumScan(database.db, day, [{}], { ...asked, purchases: MANY, pass })).toEqual(before)
  expect(looks).toBeGreaterThan(3)
  expect(await sumScan(database.db, day, [{}], { ...asked, purchases: MANY, pass: async () => false })).toBeUndefined()
})

const declare = (text: string) => openShop(layOutShop(parseShopDeclaration(text)))

test.each([
  {
    name: "texts of which capitals do not matter",
    type: "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    declared: { userType: "varchar(40) collate utf8mb4_general_ci", user: "{column: buyer, guest: ''}" },
    users: ["ann", "Ann", "bob", "BOB ", "", "Zoe", "\u00e9mile", "emile", "x", "carl"],
    bounds: ["B", "emile", "x"],
  },
  {
    name: "bytes",
    type: "BINARY(4)",
    declared: { userType: "binary(4)", user: "{column: buyer}" },
    users: ["00000000", "00FF0000", "7FFFFFFF", "80000000", "FFFFFFFF"],
    bounds: ["00FF0000", "80000000"],
  },
  {
    name: "numbers beyond 2^63",
    type: "BIGINT UNSIGNED",
    declared: { userType: "bigint unsigned", user: "{column: buyer, guest: 0}" },
    users: [0n, 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 2n, 2n ** 64n - 1n],
    bounds: [1n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 63n + 1n, 2n ** 64n - 1n],
  },
  {
    name: "an expression",
    type: "BIGINT",
    declared: { userType: "varchar(50) collate utf8mb4_bin", user: "{expression: \"CONCAT_WS(':', id % 3, buyer)\"}" },
    users: [1n, 2n, 10n, 9n, 100n],
    bounds: ["0:9", "1:", "2:1"],
  },
])("users who are $name are in the shard that their column says", async ({ type, declared, users, bounds }) => {
  const { userType, user } = declared
  const shop = declare(
    `userType: ${userType}\ntable: sales\nuser: ${user}\namount: {expression: cents, scale: 0}\ntime: {column: at, kind: epoch-seconds}\nmeasures: {tax: {expression: cents * 2, scale: 0}}\ncounts: "note <> 'why?'"`,
  )
  const columnType = type.startsWith("BIGINT") ? { kind: "integer" } : shop.layout.userType
  const noon = Date.parse("2026-11-22T12:00:00Z") / 1_000
  const rows = [...users, ...users].map(
    (id, at) => `(${userLiteral(columnType as typeof shop.layout.userType, id)}, ${at + 1}, ${noon}, 'a')`,
  )
  await database.query(
    "DROP TABLE IF EXISTS sales",
    `CREATE TABLE sales (id INT AUTO_INCREMENT PRIMARY KEY, buyer ${type} NULL, cents INT NOT NULL, at BIGINT NOT NULL,
      note VARCHAR(9) NOT NULL, KEY by_time (at))`,
    `INSERT INTO sales (buyer, cents, at, note) VALUES (NULL, 99, ${noon}, 'a'), (NULL, 99, ${noon}, 'why?'), ${rows.join(", ")}`,
  )
  const day = { ...utc, shop, sourceIndex: "by_time", accessPath: "day-scan", checksumMultipliers } as const
  const edges = [undefined, ...bounds, undefined]
  const ranges: Range[] = edges.slice(0, -1).map((from, at) => ({ from, to: edges[at + 1] }))
  const each = await Promise.all(ranges.map(async (range) => (await sumSource(database.db, day, [range]))[0]))
  const sums = await sumScan(database.db, day, ranges, asked)
  const guests = await sumGuests(database.db, day)
  expect(sums && sameTotals(sums.guests, guests)).toBe(true)
  expect(sums?.shards.map(({ checksum }) => checksum)).toEqual(each.map((shard) => shard?.checksum))
  for (const [at, shard] of each.entries()) {
    expect(shard && sums?.shards[at] && sameTotals(shard.totals, sums.shards[at].totals)).toBe(true)
  }
  const whole = sums?.shards.reduce((sum, { totals }) => sum + totals.purchases, sums.guests.purchases)
  expect(whole).toBe(BigInt(rows.length + 1))
  expect(each.filter((shard) => shard && shard.totals.purchases > 0n).length).toBeGreaterThan(1)
})
