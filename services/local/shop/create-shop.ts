import { type Connection, createConnection, createPool, type Pool } from "mysql2/promise"
import pMap from "p-map"
import { ConfigurationError } from "../../../shared/errors.ts"
import { createTablesToLoad, dropUnfinishedShop, findShop, finishTables } from "./shop-tables.ts"

export interface ShopOptions {
  /** 100,000 by default. */
  users?: number
  /** Purchases of the date; 250,000 by default. */
  purchases?: number
  /** Days of history in total, of which the date is the last; 3 by default. */
  days?: number
  /** YYYY-MM-DD, UTC; yesterday by default. */
  date?: string
  /** The same seed makes the same shop; 1 by default. */
  seed?: number
}

/** Called as the loading goes on, with rows of both tables. */
export type ShopProgress = (loaded: number, total: number) => void

// Every day before the date is as big as the date, up to this: what matters about history is that it is there, and
// a demonstration with a million purchases should not wait for two million more.
const HISTORY_DAY_PURCHASES_MAX = 250_000

// Where the shop's numbers are still exact; 64-bit arithmetic bounds the pseudo-random ones.
const ROWS_MAX = 100_000_000
const DAYS_MAX = 10_000
// A statement is a transaction: big enough to be fast, small enough to show progress and to stop soon.
const ROWS_PER_STATEMENT = 50_000
// Each keeps a core of the database busy; a million purchases in 7 s on two cores.
const CONNECTIONS = 2

/**
 * Fills an empty database with a shop. A few users buy a lot and most a little (the top 1 % make about a fifth of the
 * purchases), 2 % of the purchases are refunds, 3 % have no user, and ids have gaps; every tenth user's id is beyond
 * 2^53. Everything is made inside the database, with statements that MySQL 8 and MariaDB understand.
 */
export async function createShop(
  databaseUrl: string,
  options: ShopOptions = {},
  onProgress?: ShopProgress,
): Promise<void> {
  const users = options.users ?? 100_000
  const purchases = options.purchases ?? 250_000
  const days = options.days ?? 3
  const historyDay = Math.min(purchases, HISTORY_DAY_PURCHASES_MAX)
  const total = users + purchases + (days - 1) * historyDay
  checkSizes({ users, purchases, days, total })
  const dates = listDates(options.date ?? yesterday(), days)
  const perDay = dates.map((_date, index) => (index === days - 1 ? purchases : historyDay))

  const pool = createPool({ uri: databaseUrl, connectionLimit: CONNECTIONS })
  try {
    await withConnection(pool, prepare)
    const random = seededRandom(options.seed ?? 1)
    const statements = [...insertUsers(users, random), ...insertPurchases(users, dates, perDay, random)]
    let loaded = 0
    await pMap(
      statements,
      async ({ sql, rows }) => {
        await pool.query(sql)
        loaded += rows
        onProgress?.(loaded, total)
      },
      { concurrency: CONNECTIONS },
    )
    await withConnection(pool, finishTables)
  } finally {
    await pool.end()
  }
}

/** Whether a database has a shop; one whose making was cut short does not count. */
export async function hasShop(databaseUrl: string): Promise<boolean> {
  const connection = await createConnection({ uri: databaseUrl })
  try {
    return (await findShop(connection)) === "whole"
  } finally {
    await connection.end()
  }
}

async function prepare(connection: Connection): Promise<void> {
  await dropUnfinishedShop(connection)
  if ((await findShop(connection)) !== "none") {
    throw new ConfigurationError("The database already has a table users or purchases: a shop needs an empty one.")
  }
  await createTablesToLoad(connection)
}

interface Insert {
  sql: string
  rows: number
}

/** An SQL expression for a pseudo-random 32-bit number that depends on the expression `of` and on `salt`. */
type Random = (of: string, salt: keyof typeof multipliers) => string

// A prime for each kind of number. CRC-32 alone is linear, so that what differs in a salt only would differ by a
// constant; of the digits of multiples of different primes it is not. The biggest product stays below 2^63.
const multipliers = {
  id: 1_999_999_973,
  person: 1_999_999_943,
  buyer: 1_999_999_927,
  amount: 1_999_999_913,
  time: 1_999_999_873,
  kind: 1_999_999_871,
}

function seededRandom(seed: number): Random {
  const offset = (Math.abs(Math.trunc(seed)) * 1_000_003) % 2 ** 32
  return (of, salt) => `CRC32((${of} + ${offset}) * ${multipliers[salt]})`
}

/** As a double: a quotient of integers would be a decimal of four digits. */
const fraction = (random: string) => `(${random} / 4294967296e0)`

function insertUsers(users: number, random: Random): Insert[] {
  return chunks(users).map(({ from, rows }) => ({
    rows,
    sql: `INSERT INTO users (user_id, name, email, country)
      WITH ${numbers(from, rows)},
      people AS (SELECT ${userId("n", users, random)} AS user_id, ${random("n", "person")} AS p FROM numbers)
      SELECT user_id,
        CONCAT(${pick("p", firstNames)}, ' ', ${pick("p DIV 16", lastNames)}),
        CONCAT('user', user_id, '@shop.example'),
        ${pick("p DIV 256", countries)}
      FROM people ORDER BY user_id`,
  }))
}

function insertPurchases(users: number, dates: string[], perDay: number[], random: Random): Insert[] {
  let before = 0
  return dates.flatMap((date, index) => {
    const first = before
    const count = perDay[index] ?? 0
    before += count
    return chunks(count).map(({ from, rows }) => ({ rows, sql: insertChunk(users, date, first + from, rows, random) }))
  })
}

function insertChunk(users: number, date: string, from: number, rows: number, random: Random): string {
  // The third power of an even distribution: the user of rank r buys in proportion to r^(-2/3).
  const rank = `FLOOR(${users} * POW(${fraction(random("n", "buyer"))}, 3))`
  const user = `MOD(${rank} * ${scattering(users)}, ${users})`
  return `INSERT INTO purchases (purchase_id, user_id, amount_cents, purchased_at, channel)
    WITH ${numbers(from, rows)},
    drawn AS (SELECT n, CAST(${user} AS SIGNED) AS u, ${random("n", "kind")} AS k, ${random("n", "amount")} AS a,
      ${random("n", "time")} AS t FROM numbers)
    SELECT 1 + n * 3 + MOD(n, 2),
      IF(MOD(k, 100) < 3, NULL, ${userId("u", users, random)}),
      IF(MOD(k DIV 100, 50) = 0, -1, 1) * (99 + FLOOR(20000 * POW(${fraction("a")}, 2))),
      '${date} 00:00:00' + INTERVAL MOD(t, 86400) SECOND,
      ${pick("k DIV 10000", ["web", "app", "store"])}
    FROM drawn ORDER BY n`
}

/**
 * Multiplied by this, modulo `users`, neighbours among the ranks are far apart among the ids, and each has one: else
 * the first shard would hold all the big spenders. The golden ratio spreads best.
 */
function scattering(users: number): number {
  let factor = Math.max(1, Math.round(users * 0.618))
  while (greatestCommonDivisor(factor, users) !== 1) factor++
  return factor
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** Ids have gaps, and the last tenth of the users have some that a double cannot hold. */
function userId(index: string, users: number, random: Random): string {
  const bigFrom = Math.ceil(users * 0.9)
  return `(${index} * 7 + MOD(${random(index, "id")}, 7) + IF(${index} >= ${bigFrom}, 9007199254740993, 1000))`
}

/** A table expression `numbers(n)`: from, from + 1, … Digits are multiplied out: MySQL has no sequences. */
function numbers(from: number, rows: number): string {
  const places = Array.from({ length: String(Math.max(1, rows - 1)).length }, (_, place) => place)
  const sum = places.map((place) => `d${place}.d * ${10 ** place}`).join(" + ")
  const tables = places.map((place) => `digits d${place}`).join(", ")
  return `digits AS (SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
    UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9),
    numbers AS (SELECT ${from} + ${sum} AS n FROM ${tables} WHERE ${sum} < ${rows})`
}

function* chunksOf(count: number): Generator<{ from: number; rows: number }> {
  for (let from = 0; from < count; from += ROWS_PER_STATEMENT) {
    yield { from, rows: Math.min(ROWS_PER_STATEMENT, count - from) }
  }
}

const chunks = (count: number) => [...chunksOf(count)]

const pick = (number: string, words: string[]) =>
  `ELT(1 + MOD(${number}, ${words.length}), ${words.map((word) => `'${word}'`).join(", ")})`

const firstNames = ["Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "John"]
const lastNames = ["Adams", "Baker", "Clark", "Davis", "Evans", "Fisher", "Green", "Harris", "Young"]
const countries = ["AT", "BR", "DE", "FR", "GB", "IN", "JP", "NG", "US"]

const MS_PER_DAY = 86_400_000

function yesterday(): string {
  return new Date(Date.now() - MS_PER_DAY).toISOString().slice(0, 10)
}

/** The date and the days before it, oldest first. */
function listDates(date: string, days: number): string[] {
  const last = Date.parse(`${date}T00:00:00Z`)
  // Date.parse takes February 30 for March 2.
  if (Number.isNaN(last) || new Date(last).toISOString().slice(0, 10) !== date) {
    throw new ConfigurationError(`not a date as YYYY-MM-DD: ${date}`)
  }
  return Array.from({ length: days }, (_, index) =>
    new Date(last - (days - 1 - index) * MS_PER_DAY).toISOString().slice(0, 10),
  )
}

function checkSizes(sizes: { users: number; purchases: number; days: number; total: number }): void {
  const { users, purchases, days, total } = sizes
  if (!isCount(users, 1) || !isCount(purchases, 0) || !isCount(days, 1) || days > DAYS_MAX || total > ROWS_MAX) {
    throw new ConfigurationError(
      `a shop has at least one user and one day, and at most ${DAYS_MAX} days and ${ROWS_MAX} rows: ${JSON.stringify(sizes)}`,
    )
  }
}

function isCount(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least
}

async function withConnection(pool: Pool, use: (connection: Connection) => Promise<void>): Promise<void> {
  const connection = await pool.getConnection()
  try {
    await use(connection)
  } finally {
    connection.release()
  }
}
