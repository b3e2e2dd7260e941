import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { userBatchColumns } from "../../schemas/database/shop-ddl.ts"
import { parseShopDeclaration } from "../../schemas/database/shop-declaration.ts"
import { layOutShop } from "../../schemas/database/shop-layout.ts"
import { userLiteral } from "../../schemas/database/user-type.ts"
import { compareWithTruth, createRealShop, readShopStatements } from "../../services/demo/create-real-shop.ts"
import { listRealShops, realShopFile, realShopTimeZone } from "../../services/demo/real-shops.ts"
import { runDaybook } from "../fixtures/run-daybook.ts"
import { date, type Pipeline, startPipeline } from "../fixtures/start-pipeline.ts"
import { createTestDatabase, type TestDatabase } from "../fixtures/test-database.ts"

/** Software that makes an index of the time by itself; the others need one where their tables are big. */
const withTimeIndex = ["magento", "prestashop", "woocommerce", "woocommerce-analytics"]

/** The tables of real shops, with their column types; each is read as its declaration says. */
describe.each(listRealShops())("%s", (shop) => {
  const timeZone = realShopTimeZone(shop)
  let pipeline: Pipeline
  let env: Record<string, string>
  beforeAll(async () => {
    // As if its tables were big.
    const settings = { SHOP_FILE: realShopFile(shop), REVENUE_TIME_ZONE: timeZone, SCAN_ROWS_MAX: "0" }
    pipeline = await startPipeline({ shardPurchases: 400, settings })
    env = { ...settings, ...pipeline.cloud.env, DATABASE_URL: pipeline.databaseUrl, PATH: process.env["PATH"] ?? "" }
    await createRealShop(pipeline.db, shop)
  })
  afterAll(() => pipeline?.stop())

  const daybook = (...args: string[]) => runDaybook(env, ...args)
  const statementsOf = async (...options: string[]) =>
    (JSON.parse((await daybook("shop", "ddl", "--json", ...options)).stdout) as { statements: string[] }).statements
  const expectPath = async (path: string) =>
    expect((await daybook("shop", "check", date)).stdout).toContain(`read by ${path} of the index`)
  const expectTruth = async () => {
    const { seen, expected } = await compareWithTruth(pipeline.db, shop)
    expect(expected.length).toBeGreaterThan(500)
    expect(seen).toEqual(expected)
  }

  test("is right to the row with nothing but an index on its own time, for which it is asked if it has none", async () => {
    if (!withTimeIndex.includes(shop)) {
      const timeIndexes = await statementsOf()
      expect(await pipeline.start()).toMatchObject({
        verdict: "rejected",
        reason: expect.stringContaining(`start the date again: ${timeIndexes.join("; ")}`) as string,
      })
      await pipeline.query(...timeIndexes)
    }
    await expectPath("day-scan")
    const verdict = await pipeline.start()
    expect(verdict).toMatchObject({ verdict: "complete" })
    expect(verdict.shards).toBeGreaterThan(3)
    await expectTruth()
    const generated = `SELECT COLUMN_NAME FROM information_schema.COLUMNS
      WHERE TABLE_SCHEMA = DATABASE() AND COLUMN_NAME LIKE 'daybook%'`
    expect(await pipeline.query(generated)).toEqual([])
  })

  test("and again after orders have changed, which an audit finds", async () => {
    expect((await daybook("audit", date, "--wait")).stdout).toMatch(/ same /)
    await pipeline.query(...readShopStatements(shop, "change.sql"))
    expect((await daybook("audit", date, "--wait")).stdout).toContain("drifted")
    expect(await pipeline.start()).toMatchObject({ verdict: "complete" })
    await expectTruth()
  })

  test("and through an index of the day, where it has one", async () => {
    const statements = await statementsOf("--day-slice")
    if (statements.length === 0) return
    await pipeline.query(...statements)
    await expectPath("day-slice")
    expect(await pipeline.start()).toMatchObject({ verdict: "complete" })
    await expectTruth()
  })

  test("and by batches of users, where it has nothing but an index of each user's purchases", async () => {
    for (const statement of await listBatchStatements(pipeline, env["SHOP_FILE"] ?? "")) await pipeline.query(statement)
    await expectPath("user-batches")
    expect(await pipeline.start()).toMatchObject({ verdict: "complete" })
    await expectTruth()
  })
})

/** Statements that put an index of each user's purchases, by the table's own columns, in the place of the others. */
async function listBatchStatements({ query }: Pipeline, file: string): Promise<string[]> {
  const { sources } = layOutShop(parseShopDeclaration(await readFile(file, "utf8")))
  const indexes = await query<{ name: string; of: string }>(
    `SELECT DISTINCT INDEX_NAME AS name, TABLE_NAME AS \`of\` FROM information_schema.STATISTICS
     WHERE TABLE_SCHEMA = DATABASE() AND SEQ_IN_INDEX = 1
       AND (INDEX_NAME LIKE 'daybook%' OR COLUMN_NAME IN (${sources.map(({ own }) => `'${own.time.column}'`).join()}))`,
  )
  return [
    ...indexes.map(({ name, of }) => `DROP INDEX ${name} ON \`${of}\``),
    ...sources.map((source) => `CREATE INDEX by_user ON ${source.table} (${userBatchColumns(source).join(", ")})`),
  ]
}

interface Forgotten {
  documents: string[]
  ledgerEntries: number
}

describe("a shop that cannot be read yet", () => {
  let pipeline: Pipeline
  beforeAll(async () => {
    pipeline = await startPipeline({ settings: { SHOP_FILE: realShopFile("woocommerce") } })
  })
  afterAll(() => pipeline?.stop())

  test.each([
    [
      "users that are texts",
      "customer_id VARCHAR(64)",
      "DATETIME",
      /whole number, .* is varchar\(64\).* userType: "varchar\(64\) collate/,
    ],
    ["users that are UUIDs", "customer_id CHAR(36)", "DATETIME", /customer_id .* is char\(36\)/],
    ["users that are bytes", "customer_id BINARY(16)", "DATETIME", /is binary\(16\).* userType: "binary\(16\)"/],
    [
      "an amount that is a DOUBLE",
      "customer_id BIGINT, total_amount DOUBLE",
      "DATETIME",
      /total_amount is declared .*exact.* is double/,
    ],
    ["a TIMESTAMP that is declared to be UTC", "customer_id BIGINT", "TIMESTAMP NULL", /kind utc, and is timestamp/],
  ])("is refused with a sentence, before anything is altered: %s", async (_, user, time, reason) => {
    await pipeline.query(
      "DROP TABLE IF EXISTS wp_wc_orders",
      `CREATE TABLE wp_wc_orders (id BIGINT PRIMARY KEY, status VARCHAR(20), currency VARCHAR(10),
        ${user.includes("total_amount") ? "" : "total_amount DECIMAL(26,8),"} ${user}, date_created_gmt ${time})`,
    )
    expect(await pipeline.start()).toMatchObject({
      verdict: "rejected",
      reason: expect.stringMatching(reason) as string,
    })
  })
})

describe("an amount with more digits than its scale", () => {
  let pipeline: Pipeline
  beforeAll(async () => {
    pipeline = await startPipeline({ shardPurchases: 400, settings: { SHOP_FILE: realShopFile("sakila") } })
    await createRealShop(pipeline.db, "sakila")
    await pipeline.query("ALTER TABLE payment MODIFY amount DECIMAL(9,4) NOT NULL")
  })
  afterAll(() => pipeline?.stop())

  test("fails the shard of its user, who is named, and is not rounded; corrected, a rerun completes the day", async () => {
    const inexact = `customer_id = 77 AND DATE(payment_date) = '${date}' LIMIT 1`
    await pipeline.query(`UPDATE payment SET amount = 1.005 WHERE ${inexact}`)
    const verdict = await pipeline.start()
    expect(verdict).toMatchObject({ verdict: "incomplete", missing: [], corrupt: [] })
    expect(verdict.failed).toHaveLength(1)
    expect(verdict.reason).toContain("user 77 has a purchase whose amount is no whole number of minor units")
    await pipeline.query("UPDATE payment SET amount = 1.01 WHERE amount = 1.005")
    const retry = JSON.parse(verdict.retry?.data ?? "") as unknown
    expect(await pipeline.rerun(retry)).toMatchObject({ verdict: "complete" })
  })
})

describe.each(["stripe", "shopware", "solidus", "woocommerce-analytics"])("%s on a server of its own", (shop) => {
  let pipeline: Pipeline
  let source: TestDatabase
  let env: Record<string, string>
  beforeAll(async () => {
    source = await createTestDatabase()
    const settings = {
      SHOP_FILE: realShopFile(shop),
      REVENUE_TIME_ZONE: realShopTimeZone(shop),
      SOURCE_DATABASE_URL: source.url,
    }
    pipeline = await startPipeline({ shardPurchases: 400, settings })
    env = { ...settings, ...pipeline.cloud.env, PATH: process.env["PATH"] ?? "" }
    await createRealShop(source.db, shop)
  })
  afterAll(async () => {
    await pipeline?.stop()
    await source?.drop()
  })

  const daybook = (...args: string[]) => runDaybook(env, ...args)
  let user = ""
  test("is copied right to the row, looked at again, and computed anew: who differs is named as the shop names them", async () => {
    expect(await pipeline.start()).toMatchObject({ verdict: "complete" })
    const { seen, expected } = await compareWithTruth(pipeline.db, shop, source.db)
    expect(seen).toEqual(expected)
    const same = await daybook("audit", date, "--wait")
    expect(same.stdout).toContain("same")
    await source.query(...readShopStatements(shop, "change.sql"))
    const drifted = await daybook("audit", date, "--wait", "--json")
    user = /"userId": ?"([^"]+)"/.exec(drifted.stdout)?.[1] ?? ""
    const users = expected.map((line) => line.split(",")[0])
    expect(users).toContain(shop === "solidus" ? user.toLowerCase() : user)
    const anew = await pipeline.start()
    expect(anew).toMatchObject({ verdict: "complete", version: 2 })
    expect(Number(anew.changes?.changed)).toBeGreaterThan(0)
    const later = await compareWithTruth(pipeline.db, shop, source.db)
    expect(later.seen).toEqual(later.expected)
    expect((await daybook("diff", date)).stdout).toContain("compared with version 1")
  })

  test("forgets a user whom it has erased, by the key that it has", async () => {
    expect((await daybook("forget", user)).stderr).toContain("The shop still has purchases of this user")
    const { sources, userType } = layOutShop(parseShopDeclaration(await readFile(realShopFile(shop), "utf8")))
    for (const { table, own } of sources) {
      await source.query(`DELETE FROM ${table} WHERE ${own.userId} = ${userLiteral(userType, user)}`)
    }
    const forgotten = await daybook("forget", user)
    expect(forgotten).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^erased: [2-9] rows of 1 day/) as string,
    })
    expect((await daybook("audit", date, "--wait")).stdout).toMatch(/ same /)
    const { documents, ledgerEntries } = JSON.parse((await daybook("forget", user, "--json")).stdout) as Forgotten
    expect([documents, ledgerEntries]).toEqual([[], 0])
    const left = await pipeline.query(`SELECT 1 FROM runs WHERE verdict LIKE '%"${user}"%'`)
    expect(left).toEqual([])
  })
})

test("a table in another schema is read there, and users beyond 2^63 as they are", async () => {
  const folder = await mkdtemp(join(tmpdir(), "daybook-shop-"))
  const shop = await createTestDatabase()
  const schema = new URL(shop.url).pathname.slice(1)
  const file = join(folder, "shop.yaml")
  await writeFile(
    file,
    `userType: bigint unsigned\ntable: ${schema}.order\nuser: {column: buyer}\namount: {expression: cents, scale: 0}\ntime: {column: at, kind: epoch-ms}\n`,
  )
  const pipeline = await startPipeline({ shardPurchases: 3, settings: { SHOP_FILE: file } })
  try {
    const noon = Date.parse(`${date}T12:00:00Z`)
    const buyers = [7n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 5n, 2n ** 63n + 7n]
    await shop.query(
      "CREATE TABLE `order` (id INT AUTO_INCREMENT PRIMARY KEY, buyer BIGINT UNSIGNED NULL, cents INT NOT NULL, at BIGINT NOT NULL)",
      `INSERT INTO \`order\` (buyer, cents, at) VALUES (NULL, 9, ${noon}), ${buyers.flatMap((id, at) => [`(${id}, ${at}, ${noon})`, `(${id}, 10, ${noon + 999})`]).join(", ")}`,
    )
    const verdict = await pipeline.start()
    expect(verdict).toMatchObject({ verdict: "complete", rows: 6n, amountCents: "75", guestAmountCents: "9" })
    expect(verdict.shards).toBeGreaterThan(2)
    const rows = await pipeline.query<{ user_id: string }>("SELECT user_id FROM revenue ORDER BY user_id")
    expect(rows.map(({ user_id }) => BigInt(user_id))).toEqual(buyers.toSorted((a, b) => (a < b ? -1 : 1)))
  } finally {
    await pipeline.stop()
    await shop.drop()
    await rm(folder, { recursive: true })
  }
})
