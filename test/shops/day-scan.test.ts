import { sql } from "drizzle-orm"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { openShop } from "../../schemas/database/shop.ts"
import { listTimeDdl } from "../../schemas/database/shop-ddl.ts"
import { parseShopDeclaration } from "../../schemas/database/shop-declaration.ts"
import { layOutShop } from "../../schemas/database/shop-layout.ts"
import { openSourceReader } from "../../services/finalizer/proof/source-reader.ts"
import { migrateDatabase } from "../../services/migrate/migrate-database.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { computeShards } from "../../services/worker/compute-shards.ts"
import { findUnfitUser } from "../../services/worker/find-unfit-user.ts"
import { allRows, type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"
import { drawMultipliers } from "../../shared/day/checksum.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { sumRows } from "../../shared/day/revenue-rows.ts"
import { sameTotals } from "../../shared/day/totals.ts"
import { findErrno } from "../../shared/errors.ts"
import { createRun } from "../../shared/ledger/runs/create-run.ts"
import { listShards } from "../../shared/ledger/shards/find-shards.ts"
import { claim } from "../fixtures/play-run.ts"
import { asText, createTestDatabase, type TestDatabase } from "../fixtures/test-database.ts"
import { newRun, openFirstDispatch } from "../fixtures/test-run.ts"
import { unthrottled } from "../fixtures/unthrottled.ts"

let database: TestDatabase
/** All on one connection, whose reads are counted. */
let single: DatabaseConnection
beforeAll(async () => {
  database = await createTestDatabase()
  single = openDatabase({ url: database.url, connectionsMax: 1 })
})
afterAll(async () => {
  await single.close()
  await database.drop()
})

interface Day {
  declaration: string
  shardPurchases?: number
  day?: Partial<Parameters<typeof newRun>[0]>
}

/** Computes and proves a day by the product's own functions, and returns its rows and how much each step read. */
async function computeDay({ declaration, shardPurchases = 2, day: of = {} }: Day) {
  const { db } = single
  await database.forgetRuns()
  const layout = layOutShop(parseShopDeclaration(declaration))
  const shop = openShop(layout)
  for (const statement of listTimeDdl(layout)) await database.query(statement).catch(isThere)
  await migrateDatabase(database.url, {}, { layout })
  const day = { ...newRun({ checksumMultipliers: drawMultipliers(), ...of }), shop }
  const read = await chooseRead(db, day, { scanRowsMax: 0 })
  expect(read.accessPath).toBe("day-scan")
  const run = { ...(await createRun(db, { ...day, ...read })), shop }
  const [ranges, plan] = await countReads(() => Array.fromAsync(planRanges(db, run, { shardPurchases })))
  await openFirstDispatch(db, run, ranges)
  const claims: Awaited<ReturnType<typeof claim>>[] = []
  for (const { shardIndex } of await listShards(db, run.runId)) claims.push(await claim(db, run, shardIndex, 0))
  const [, compute] = await countReads(async () => {
    for (const each of claims) await computeShards(db, run, [each])
  })
  const rows = await sumRows(db, run, ranges)
  const reader = await openSourceReader(db, db, run, unthrottled)
  const shards = await listShards(db, run.runId)
  const [source, verify] = await countReads(async () => {
    const sums = await reader.sumShards(shards)
    return { sums, guests: await reader.sumGuests() }
  })
  expect(source.sums.map(({ checksum }) => checksum)).toEqual(rows.map(({ checksum }) => checksum))
  for (const [at, { totals }] of rows.entries()) {
    expect(source.sums[at] && sameTotals(totals, source.sums[at].totals)).toBe(true)
  }
  const revenue = asText(
    await database.query("SELECT user_id, amount_cents, purchases FROM revenue_versions ORDER BY user_id"),
  )
  return { run, ranges, revenue, guests: source.guests, reads: { plan, compute, verify } }
}

function isThere(error: unknown): void {
  if (findErrno(error) !== 1061) throw error
}

/** How many entries of indexes the work reads, one after the other. */
async function countReads<T>(work: () => Promise<T>): Promise<[T, number]> {
  const before = await readHandler()
  const result = await work()
  return [result, (await readHandler()) - before]
}

async function readHandler(): Promise<number> {
  const status = await single.db.execute(sql`SHOW SESSION STATUS LIKE 'Handler_read_next'`)
  return Number(allRows<{ Value: string }>(status)[0]?.Value)
}

const create = (columns: string) => [
  "DROP TABLE IF EXISTS sales",
  `CREATE TABLE sales (id INT AUTO_INCREMENT PRIMARY KEY, buyer BIGINT NULL, cents BIGINT NOT NULL DEFAULT 100, ${columns})`,
]
const declare = (time: string, amount = "{expression: cents, scale: 0}") =>
  `table: sales\nuser: {column: buyer, guest: 0}\namount: ${amount}\ntime: ${time}\n`

describe("every kind of time is a day from its midnight to the next", () => {
  const utcTimes = ["2026-11-21 23:59:59", "2026-11-22 00:00:00", "2026-11-22 23:59:59", "2026-11-23 00:00:00"]
  const epoch = (unit: number) => utcTimes.map((at) => String((Date.parse(`${at.replace(" ", "T")}Z`) / 1000) * unit))

  test.each([
    ["utc", "at DATETIME(3) NULL", "{column: at, kind: utc}", utcTimes.map((at) => `'${at}'`)],
    ["timestamp", "at TIMESTAMP NULL", "{column: at, kind: timestamp}", utcTimes.map((at) => `'${at}'`)],
    ["epoch-seconds", "at INT NULL", "{column: at, kind: epoch-seconds}", epoch(1)],
    ["epoch-ms", "at BIGINT NULL", "{column: at, kind: epoch-ms}", epoch(1000)],
  ])("%s", async (_, column, time, values) => {
    const rows = values.map((value, at) => `(${at + 1}, ${value})`)
    await database.query(...create(column), `INSERT INTO sales (buyer, at) VALUES ${rows.join(", ")}, (9, NULL)`)
    const { revenue } = await computeDay({ declaration: declare(time) })
    expect(revenue).toEqual(["2,100,1", "3,100,1"])
  })

  test("date: the column is the revenue date, in whatever time zone", async () => {
    await database.query(
      ...create("sold_on DATE NULL"),
      "INSERT INTO sales (buyer, sold_on) VALUES (1, '2026-11-21'), (2, '2026-11-22'), (3, '2026-11-22'), (0, '2026-11-22'), (4, '2026-11-23'), (5, NULL)",
    )
    const day = {
      timeZone: "Asia/Tokyo",
      fromAt: new Date("2026-11-21T15:00:00Z"),
      toAt: new Date("2026-11-22T15:00:00Z"),
    }
    const { revenue, guests } = await computeDay({ declaration: declare("{column: sold_on, kind: date}"), day })
    expect(revenue).toEqual(["2,100,1", "3,100,1"])
    expect(guests.purchases).toBe(1n)
  })

  test("a DATE with a TIME beside it", async () => {
    await database.query(
      ...create("sold_on DATE NOT NULL, sold_at TIME NOT NULL"),
      `INSERT INTO sales (buyer, sold_on, sold_at) VALUES (1, '2026-11-21', '22:59:59'), (2, '2026-11-21', '23:00:00'),
        (3, '2026-11-22', '22:59:59'), (4, '2026-11-22', '23:00:00')`,
    )
    const day = {
      timeZone: "Europe/Berlin",
      fromAt: new Date("2026-11-21T23:00:00Z"),
      toAt: new Date("2026-11-22T23:00:00Z"),
    }
    const { revenue } = await computeDay({ declaration: declare("{column: sold_on, clock: sold_at, kind: utc}"), day })
    expect(revenue).toEqual(["2,100,1", "3,100,1"])
  })

  test("local: a day of 25 hours has the hour that comes twice, once", async () => {
    await database.query(
      ...create("at DATETIME NOT NULL"),
      `INSERT INTO sales (buyer, at) VALUES (1, '2026-10-24 23:59:59'), (2, '2026-10-25 00:00:00'), (3, '2026-10-25 02:30:00'),
        (3, '2026-10-25 02:30:00'), (4, '2026-10-25 23:59:59'), (5, '2026-10-26 00:00:00')`,
    )
    const day = {
      revenueDate: "2026-10-25",
      timeZone: "Europe/Berlin",
      fromAt: new Date("2026-10-24T22:00:00Z"),
      toAt: new Date("2026-10-25T23:00:00Z"),
    }
    const { revenue } = await computeDay({ declaration: declare("{column: at, kind: local}"), day })
    expect(revenue).toEqual(["2,100,1", "3,200,2", "4,100,1"])
  })
})

describe("a quotient", () => {
  const declaration = declare("{column: at, kind: utc}", "{expression: cents / 1000000, scale: 2}")
  const insert = "INSERT INTO sales (buyer, cents, at) VALUES (1, 19990000, '2026-11-22'), (2, 1000000, '2026-11-22')"

  test("that is a whole number of minor units is that number", async () => {
    await database.query(...create("at DATETIME NOT NULL"), insert)
    expect((await computeDay({ declaration })).revenue).toEqual(["1,1999,1", "2,100,1"])
  })

  test("that is not is never rounded: its shard fails and names the user", async () => {
    await database.query(...create("at DATETIME NOT NULL"), insert, "UPDATE sales SET cents = 19990040 WHERE buyer = 1")
    const failure = await computeDay({ declaration }).then(
      () => undefined,
      (error: unknown) => error,
    )
    const day = { ...newRun(), shop: openShop(layOutShop(parseShopDeclaration(declaration))) }
    const read = { sourceIndex: "daybook_at", accessPath: "day-scan" } as const
    expect(await findUnfitUser(database.db, { ...day, ...read }, {}, failure)).toMatch(
      /^user 1 has a purchase whose amount/,
    )
  })
})

test("users may be an expression over several columns", async () => {
  await database.query(
    ...create("at DATETIME NOT NULL, tenant INT NOT NULL DEFAULT 1"),
    "INSERT INTO sales (buyer, tenant, at) VALUES (1, 1, '2026-11-22'), (1, 2, '2026-11-22'), (1, 2, '2026-11-22'), (NULL, 2, '2026-11-22')",
  )
  const declaration = `userType: varchar(40) collate utf8mb4_bin
table: sales
user: {expression: "CONCAT(tenant, ':', buyer)"}
amount: {expression: cents, scale: 0}
time: {column: at, kind: utc}
`
  await database.query("DELETE FROM revenue_versions")
  const { revenue, guests, ranges } = await computeDay({ declaration, shardPurchases: 1 })
  expect(revenue).toEqual(["1:1,100,1", "2:1,200,2"])
  expect(guests.purchases).toBe(1n)
  expect(ranges.length).toBe(2)
  await database.query("DELETE FROM revenue_versions")
})

test("rows are read once to plan, once for each shard to compute and once to verify, whatever the history", async () => {
  const digits = Array.from({ length: 10 }, (_, digit) => `SELECT ${digit} AS d`).join(" UNION ALL ")
  await database.query(
    ...create("at DATETIME NOT NULL, KEY daybook_at (at)"),
    `INSERT INTO sales (buyer, at) WITH digits AS (${digits}) SELECT 1 + (a.d + 10 * b.d + 100 * c.d) * 7 % 977, '2026-11-13' + INTERVAL e.d DAY + INTERVAL f.d HOUR
      FROM digits a, digits b, digits c, digits e, digits f`,
    "ANALYZE TABLE sales",
  )
  // The index is there already.
  const { reads, ranges, revenue } = await computeDay({
    declaration: declare("{column: at, kind: utc}"),
    shardPurchases: 2_500,
  })
  expect(revenue).toHaveLength(977)
  expect(ranges).toHaveLength(4)
  const purchases = 10_000
  expect(reads.plan).toBeGreaterThan(purchases / 2)
  expect(reads.plan).toBeLessThanOrEqual(purchases * 1.001)
  // And each row of Revenue, to add up what was written.
  expect(reads.compute).toBeLessThanOrEqual((purchases * ranges.length + revenue.length) * 1.001)
  expect(reads.verify).toBeLessThanOrEqual(purchases * 1.001)
})
