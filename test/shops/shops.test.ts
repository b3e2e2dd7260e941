import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { date, type Pipeline, startPipeline } from "../rooms/start-pipeline.ts"
import { asText } from "../rooms/test-database.ts"

const run = promisify(execFile)
const here = fileURLToPath(new URL(".", import.meta.url))
const cli = fileURLToPath(new URL("../../services/cli/main.ts", import.meta.url))

const readStatements = async (shop: string, file: string) =>
  (await readFile(join(here, shop, file), "utf8")).split(/;\s*\n/).filter((statement) => statement.trim() !== "")

/** The numbers from 0 to 19,999, by which the shops fill their tables. */
const numbers = [
  "CREATE TABLE digits (d INT PRIMARY KEY)",
  "INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
  "CREATE TABLE numbers (n INT PRIMARY KEY)",
  `INSERT INTO numbers SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d
   FROM digits a, digits b, digits c, digits e, digits f WHERE f.d < 2`,
]

/** The tables of real shops, with their column types; each is read as its declaration says. */
describe.each([
  ["woocommerce", "UTC", "day-slice"],
  ["magento", "UTC", "user-batches"],
  ["prestashop", "Europe/Berlin", "day-slice"],
  ["opencart", "America/New_York", "day-slice"],
  ["sylius", "UTC", "day-slice"],
  ["drupal-commerce", "Asia/Kolkata", "day-slice"],
  ["sakila", "UTC", "day-slice"],
])("%s, on days of %s", (shop, timeZone, way) => {
  let pipeline: Pipeline
  let env: Record<string, string>
  beforeAll(async () => {
    const settings = { SHOP_FILE: join(here, shop, "shop.yaml"), REVENUE_TIME_ZONE: timeZone }
    pipeline = await startPipeline({ shardPurchases: 400, settings })
    env = { ...settings, DATABASE_URL: pipeline.databaseUrl, PATH: process.env["PATH"] ?? "" }
    await pipeline.query(...numbers, ...(await readStatements(shop, "shop.sql")))
  })
  afterAll(() => pipeline?.stop())

  const daybook = (...args: string[]) => run(process.execPath, [cli, ...args], { env })
  const expectTruth = async () => {
    const seen = await pipeline.query(
      `SELECT user_id, amount_cents, purchases FROM revenue WHERE revenue_date = '${date}' ORDER BY user_id`,
    )
    const [truth = ""] = await readStatements(shop, "truth.sql")
    const expected = asText(await pipeline.query("SET time_zone = '+00:00'", truth))
    expect(expected.length).toBeGreaterThan(500)
    expect(asText(seen)).toEqual(expected)
  }

  test("is refused with the statements that make it readable, and right to the row with them", async () => {
    expect(await pipeline.start()).toMatchObject({
      verdict: "rejected",
      reason: expect.stringMatching(/ADD COLUMN daybook_amount .*CREATE INDEX daybook_day/) as string,
    })
    const { statements } = JSON.parse((await daybook("shop", "ddl", "--json")).stdout) as { statements: string[] }
    await pipeline.query(...statements)
    const { stdout } = await daybook("shop", "check", date)
    expect(stdout).toContain(`is read by ${way} of the index daybook_day`)
    const verdict = await pipeline.start()
    expect(verdict).toMatchObject({ verdict: "complete" })
    expect(verdict.shards).toBeGreaterThan(3)
    await expectTruth()
  })

  test("and again after orders have changed", async () => {
    await pipeline.query(...(await readStatements(shop, "change.sql")))
    expect(await pipeline.start()).toMatchObject({ verdict: "complete" })
    await expectTruth()
  })
})

describe("a shop that cannot be read yet", () => {
  let pipeline: Pipeline
  beforeAll(async () => {
    pipeline = await startPipeline({ settings: { SHOP_FILE: join(here, "woocommerce", "shop.yaml") } })
  })
  afterAll(() => pipeline?.stop())

  test.each([
    ["users that are texts, as Stripe's", "customer_id VARCHAR(64)", "DATETIME", /whole number, and is varchar\(64\)/],
    ["users that are UUIDs, as Kill Bill's", "customer_id CHAR(36)", "DATETIME", /customer_id .* is char\(36\)/],
    ["users that are bytes, as Shopware's", "customer_id BINARY(16)", "DATETIME", /customer_id .* is binary\(16\)/],
    ["a TIMESTAMP that is declared to be UTC", "customer_id BIGINT", "TIMESTAMP NULL", /kind utc, and is timestamp/],
  ])("is refused with a sentence, before anything is altered: %s", async (_, user, time, reason) => {
    await pipeline.query(
      "DROP TABLE IF EXISTS wp_wc_orders",
      `CREATE TABLE wp_wc_orders (id BIGINT PRIMARY KEY, status VARCHAR(20), currency VARCHAR(10),
        total_amount DECIMAL(26,8), ${user}, date_created_gmt ${time})`,
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
    pipeline = await startPipeline({ shardPurchases: 400, settings: { SHOP_FILE: join(here, "sakila", "shop.yaml") } })
    await pipeline.query(...numbers, ...(await readStatements("sakila", "shop.sql")))
    await pipeline.query("ALTER TABLE payment MODIFY amount DECIMAL(9,4) NOT NULL")
  })
  afterAll(() => pipeline?.stop())

  test("fails the shard of its user, who is named, and is not rounded; corrected, a rerun completes the day", async () => {
    const env = { SHOP_FILE: join(here, "sakila", "shop.yaml"), PATH: process.env["PATH"] ?? "" }
    const { stdout } = await run(process.execPath, [cli, "shop", "ddl", "--json"], { env })
    await pipeline.query(...(JSON.parse(stdout) as { statements: string[] }).statements)
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
