import * as fc from "fast-check"
import { pino } from "pino"
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest"
import { computeShard } from "../../services/worker/compute-shards.ts"
import type { CopyOptions } from "../../services/worker/copy-rows.ts"
import { type DatabaseConnection, openDatabase } from "../../shared/database/open-database.ts"
import { StaleEpochError } from "../../shared/errors.ts"
import type { NewRun } from "../../shared/ledger/runs/create-run.ts"
import type { ShopRun } from "../../shared/ledger/runs/find-runs.ts"
import type { Claim } from "../../shared/ledger/shards/claim-shards.ts"
import { findShard, listShards } from "../../shared/ledger/shards/find-shards.ts"
import type { Range } from "../../shared/range.ts"
import { retryTransient } from "../../shared/retry.ts"
import { isTransient } from "../../shared/transient.ts"
import { anyCuts, anyPurchases, berlin, utc } from "../fixtures/any-purchases.ts"
import { claim as claimAsTask } from "../fixtures/play-run.ts"
import {
  asText,
  createTestDatabase,
  insertPurchases,
  shopTables,
  type TestDatabase,
} from "../fixtures/test-database.ts"
import { beginRun, cutAt } from "../fixtures/test-run.ts"

/** Holds the ledger and Revenue, and no shop. */
let database: TestDatabase
/** Holds the shop alone. */
let shop: TestDatabase
let source: DatabaseConnection

const idleSecondsMax = 1

beforeAll(async () => {
  database = await createTestDatabase()
  shop = await createTestDatabase()
  await shop.query(...shopTables)
  source = openDatabase({ url: shop.url, connectionsMax: 1, readOnly: true })
})
afterAll(async () => {
  await source.close()
  await Promise.all([database.drop(), shop.drop()])
})
beforeEach(() => shop.query("DELETE FROM purchases"))

async function begin(ranges: Range[], overrides: Partial<NewRun> = {}): Promise<ShopRun> {
  await database.forgetRuns()
  return beginRun(database.db, ranges, overrides)
}

const claim = (run: ShopRun, index: number, attempt = 0) => claimAsTask(database.db, run, index, index, attempt)

const compute = (run: ShopRun, claimed: Claim, options?: CopyOptions, db = database.db) =>
  computeShard(db, run, claimed, source.pool, options)

const written = async () =>
  asText(await database.query("SELECT user_id, amount_cents, purchases FROM revenue_versions ORDER BY user_id"))

/** Connections to the shop that wait for its tables. */
const waiting = () =>
  shop.query<{ id: string }>(
    "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND STATE LIKE 'Waiting for table%'",
  )

/** Makes every reader of the shop wait until it is released. */
async function holdUp(): Promise<() => Promise<void>> {
  const holder = openDatabase({ url: shop.url, connectionsMax: 1 })
  await holder.db.execute("LOCK TABLES purchases WRITE")
  return holder.close
}

test("rows that travel are those that one GROUP BY gives, for any cut, batch and day", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyPurchases,
      anyCuts,
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(utc, berlin),
      async (purchases, cuts, rowsPerInsert, day) => {
        await shop.query("DELETE FROM purchases", insertPurchases(purchases))
        const run = await begin(cutAt(...cuts.toSorted((a, b) => (a < b ? -1 : 1))), day)
        for (const { shardIndex } of await listShards(database.db, run.runId)) {
          await compute(run, await claim(run, shardIndex), { rowsPerInsert })
        }
        const [from, to] = [day.fromAt, day.toAt].map((at) => at.toISOString().slice(0, 19).replace("T", " "))
        const expected = await shop.query(`SELECT user_id, SUM(amount_cents), COUNT(*) FROM purchases
          WHERE purchased_at >= '${from}' AND purchased_at < '${to}' AND user_id IS NOT NULL
          GROUP BY user_id ORDER BY user_id`)
        expect(await written()).toEqual(asText(expected))
        const shards = await listShards(database.db, run.runId)
        expect(shards.reduce((sum, shard) => sum + (shard.rowCount ?? 0n), 0n)).toBe(BigInt(expected.length))
      },
    ),
    { numRuns: 25 },
  )
})

test("rows of an earlier try are replaced", async () => {
  const run = await begin(cutAt(10n))
  await database.query("INSERT INTO revenue_versions VALUES ('2026-11-22', 1, 2, 5, 1), ('2026-11-22', 1, 11, 99, 1)")
  await shop.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  await claim(run, 0)
  await compute(run, await claim(run, 0, 1))
  expect(await written()).toEqual(["1,5,1", "11,99,1"])
})

test("a task that lost its epoch asks the source nothing and writes nothing", async () => {
  const run = await begin(cutAt())
  await shop.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  const stale = await claim(run, 0, 0)
  await claim(run, 0, 1)
  const nobody = openDatabase({ url: "mysql://root@127.0.0.1:1/shop", connectionsMax: 1 })
  await expect(computeShard(database.db, run, stale, nobody.pool)).rejects.toThrow(StaleEpochError)
  expect(await written()).toEqual([])
  await nobody.close()
})

test("a sum that does not fit into 64 bits is an error that does not pass, and writes nothing", async () => {
  const run = await begin(cutAt())
  await shop.query(
    insertPurchases([
      [1, 1, "2026-11-22 10:00:00"],
      [2, 2n ** 63n - 1n, "2026-11-22 10:00:00"],
      [2, 1, "2026-11-22 10:00:00"],
    ]),
  )
  const error = await compute(run, await claim(run, 0), { rowsPerInsert: 1 }).catch((failure: unknown) => failure)
  expect([error instanceof Error, isTransient(error)]).toEqual([true, false])
  expect(await written()).toEqual([])
})

test("a connection to the source that is killed fails the transaction, and the next try does it all", async () => {
  const run = await begin(cutAt())
  await shop.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  const claimed = await claim(run, 0)
  const release = await holdUp()
  const computed = retryTransient("compute", () => compute(run, claimed), { log: pino({ level: "silent" }) })
  for (let kills = 0; kills < 2; kills++) {
    const [reader] = await vi.waitFor(async () => {
      const readers = await waiting()
      expect(readers).toHaveLength(1)
      return readers
    })
    await shop.query(`KILL ${reader?.id}`)
    await vi.waitFor(async () => expect(await waiting()).not.toContainEqual(reader))
  }
  expect(await written()).toEqual([])
  await release()
  await computed
  expect(await written()).toEqual(["1,5,1"])
  expect(await findShard(database.db, run.runId, 0)).toMatchObject({ state: "done", purchases: 1n })
})

test.each([
  ["is kept while the source is slow, though the database drops who is silent", 200, "done"],
  ["would be lost if the database were not asked anything meanwhile", 60_000, "claimed"],
])("the transaction %s", async (_name, keepAliveMs, state) => {
  const run = await begin(cutAt())
  await shop.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  const claimed = await claim(run, 0)
  const primary = openDatabase({ url: database.url, connectionsMax: 1, idleSecondsMax })
  const release = await holdUp()
  const computed = compute(run, claimed, { keepAliveMs }, primary.db).catch((error: unknown) => {
    expect(isTransient(error)).toBe(true)
  })
  await vi.waitFor(async () => expect(await waiting()).toHaveLength(1))
  // What is waited for is the database's own clock, which counts whole seconds.
  await new Promise((resolve) => setTimeout(resolve, (idleSecondsMax + 1) * 1000))
  await release()
  await computed
  expect((await findShard(database.db, run.runId, 0))?.state).toBe(state)
  await primary.close()
})
