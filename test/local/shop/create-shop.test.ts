import { randomBytes } from "node:crypto"
import { type Connection, createConnection, type RowDataPacket } from "mysql2/promise"
import { afterAll, beforeAll, expect, inject, test } from "vitest"
import { createShop, hasShop } from "../../../services/local/shop/create-shop.ts"
import { createShopTables, createTablesToLoad } from "../../../services/local/shop/shop-tables.ts"

const server = inject("databaseServer")
const prefix = `daybook_shop_${randomBytes(6).toString("hex")}`
const size = { users: 2_000, purchases: 20_000, days: 2, date: "2026-03-01" }
const databases: string[] = []

let connection: Connection
let shop: string

beforeAll(async () => {
  connection = await createConnection({
    uri: server,
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
  })
  shop = await createDatabase()
  await createShop(urlOf(shop), size)
  await connection.query(`USE ${shop}`)
})

afterAll(async () => {
  for (const name of databases) await connection.query(`DROP DATABASE IF EXISTS ${name}`)
  await connection.end()
})

test("every day has as many purchases as asked for, spread over all its hours", async () => {
  expect(
    await select(
      "SELECT purchased_on AS date, COUNT(*) AS n, COUNT(DISTINCT HOUR(purchased_at)) AS hours FROM purchases GROUP BY 1",
    ),
  ).toEqual([
    { date: "2026-02-28", n: "20000", hours: "24" },
    { date: "2026-03-01", n: "20000", hours: "24" },
  ])
  expect(await select("SELECT COUNT(*) AS users FROM users")).toEqual([{ users: "2000" }])
})

test("about 2 % are refunds and 3 % have no user, and the others are of known users", async () => {
  const [row] = await select(
    `SELECT SUM(amount_cents < 0) / COUNT(*) AS refunds, SUM(p.user_id IS NULL) / COUNT(*) AS guests,
      SUM(p.user_id IS NOT NULL AND u.user_id IS NULL) AS unknown FROM purchases p LEFT JOIN users u USING (user_id)`,
  )
  expect(Number(row?.["refunds"])).toBeCloseTo(0.02, 2)
  expect(Number(row?.["guests"])).toBeCloseTo(0.03, 2)
  expect(row?.["unknown"]).toBe("0")
})

test("a few users buy a lot, all over the ids, and some nothing", async () => {
  const buyers = await select(
    `SELECT RANK() OVER (ORDER BY user_id) AS place, COUNT(*) AS n FROM purchases
      WHERE purchased_on = '2026-03-01' AND user_id IS NOT NULL GROUP BY user_id ORDER BY n DESC`,
  )
  const top = buyers.slice(0, 20)
  const share = top.reduce((sum, buyer) => sum + Number(buyer["n"]), 0) / 20_000
  expect(share).toBeGreaterThan(0.15)
  expect(share).toBeLessThan(0.3)
  expect(top.filter((buyer) => Number(buyer["place"]) < 1_000).length).toBeGreaterThan(4)
  expect(top.filter((buyer) => Number(buyer["place"]) > 1_000).length).toBeGreaterThan(4)
  expect(buyers.length).toBeLessThan(2_000)
})

test("ids have gaps, and some are beyond what a double can hold", async () => {
  const [row] = await select(
    `SELECT SUM(user_id > 9007199254740992) AS big, COUNT(*) AS n, MAX(IF(user_id < 9007199254740992, user_id, 0)) AS top
      FROM users`,
  )
  expect(row?.["big"]).toBe("200")
  expect(Number(row?.["top"])).toBeGreaterThan(2 * 1_800)
  const [ids] = await select("SELECT MAX(purchase_id) AS top, COUNT(*) AS n FROM purchases")
  expect(Number(ids?.["top"])).toBeGreaterThan(Number(ids?.["n"]))
})

test("the same seed makes the same shop, another seed another", async () => {
  const [same, other] = [await createDatabase(), await createDatabase()]
  await createShop(urlOf(same), size)
  await createShop(urlOf(other), { ...size, seed: 2 })
  expect(await sumOf(same)).toEqual(await sumOf(shop))
  expect(await sumOf(other)).not.toEqual(await sumOf(shop))
})

test("an ordinary sale goes on with the next id", async () => {
  const name = await createDatabase()
  await createShop(urlOf(name), { users: 10, purchases: 30, days: 1, date: "2026-03-01" })
  await connection.query(`INSERT INTO ${name}.purchases (amount_cents, purchased_at) VALUES (1, '2026-03-02 00:00:00')`)
  expect(await select(`SELECT COUNT(*) AS n FROM ${name}.purchases`)).toEqual([{ n: "31" }])
})

test("a day's slice of some users is read from the index alone", async () => {
  const [plan] = await select(
    "EXPLAIN /*!80000 FORMAT=TRADITIONAL */ SELECT SUM(amount_cents) FROM purchases WHERE purchased_on = '2026-03-01' AND user_id >= 5000 AND user_id < 6000",
  )
  expect(plan).toMatchObject({ key: "purchases_day_slice", Extra: expect.stringContaining("Using index") })
})

test("progress ends with all rows", async () => {
  const name = await createDatabase()
  const steps: [number, number][] = []
  await createShop(urlOf(name), { users: 60_000, purchases: 10, days: 1, date: "2026-03-01" }, (loaded, total) =>
    steps.push([loaded, total]),
  )
  expect(steps).toHaveLength(3)
  expect(steps.at(-1)).toEqual([60_010, 60_010])
})

test("a database that has tables of that name is left alone", async () => {
  const name = await createDatabase()
  await connection.query(`CREATE TABLE ${name}.users (id INT)`)
  await expect(createShop(urlOf(name), size)).rejects.toThrow("already has a table")
  expect(await select(`SHOW COLUMNS FROM ${name}.users`)).toHaveLength(1)
})

test("a shop whose making was cut short is made anew, and does not count as one before", async () => {
  const name = await createDatabase()
  const inIt = await createConnection({ uri: urlOf(name) })
  await createTablesToLoad(inIt)
  expect(await hasShop(urlOf(name))).toBe(false)
  await createShop(urlOf(name), { users: 10, purchases: 30, days: 1, date: "2026-03-01" })
  expect(await hasShop(urlOf(name))).toBe(true)
  await inIt.end()
})

test("empty tables can be filled by hand", async () => {
  const name = await createDatabase()
  const inIt = await createConnection({ uri: urlOf(name) })
  await createShopTables(inIt)
  await inIt.query("INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (1, 5, '2026-03-01 23:59:59')")
  expect(await select(`SELECT purchased_on FROM ${name}.purchases`)).toEqual([{ purchased_on: "2026-03-01" }])
  await inIt.end()
})

test.each([
  { date: "2026-02-30" },
  { date: "yesterday" },
  { users: 0 },
  { purchases: -1 },
  { days: 0 },
  { purchases: 1e9 },
])("%j is refused before anything is made", async (wrong) => {
  const name = await createDatabase()
  await expect(createShop(urlOf(name), { ...size, ...wrong })).rejects.toMatchObject({ name: "ConfigurationError" })
  expect(await select(`SHOW TABLES FROM ${name}`)).toEqual([])
})

async function createDatabase(): Promise<string> {
  const name = `${prefix}_${databases.length}`
  databases.push(name)
  await connection.query(`CREATE DATABASE ${name}`)
  return name
}

function urlOf(name: string): string {
  return new URL(`/${name}`, server).href
}

async function select(statement: string): Promise<RowDataPacket[]> {
  const [rows] = await connection.query<RowDataPacket[]>(statement)
  return rows.map(
    (row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, textOf(value)])) as RowDataPacket,
  )
}

/** Servers and versions differ in what they send as a number and what as a string. */
function textOf(value: unknown): unknown {
  return typeof value === "number" ? String(value) : value
}

async function sumOf(name: string): Promise<unknown> {
  return select(
    `SELECT COUNT(*) AS n, SUM(amount_cents) AS amount, SUM(CRC32(CONCAT_WS(',', purchase_id, user_id, amount_cents, purchased_at, channel))) AS checksum
      FROM ${name}.purchases`,
  )
}
