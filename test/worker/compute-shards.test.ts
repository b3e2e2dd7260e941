import * as fc from "fast-check"
import { expect, test } from "vitest"
import { integerUsers } from "../../schemas/database/user-type.ts"
import { computeShard, computeShards } from "../../services/worker/compute-shards.ts"
import { sumRows } from "../../shared/day/revenue-rows.ts"
import { StaleEpochError } from "../../shared/errors.ts"
import { markAnnounced } from "../../shared/ledger/runs/announce-run.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../shared/ledger/runs/decide-run.ts"
import type { ShopRun } from "../../shared/ledger/runs/find-runs.ts"
import { openNextDispatch } from "../../shared/ledger/runs/open-next-dispatch.ts"
import type { Claim } from "../../shared/ledger/shards/claim-shards.ts"
import { findShard, listShards } from "../../shared/ledger/shards/find-shards.ts"
import { shardRange } from "../../shared/ledger/shards/shard-range.ts"
import type { Range } from "../../shared/range.ts"
import { anyCuts, anyPurchases } from "../fixtures/any-purchases.ts"
import { claim as claimAsTask, reread } from "../fixtures/play-run.ts"
import { asText, insertPurchases, shopTables, useTestDatabase } from "../fixtures/test-database.ts"
import { beginRun, cutAt } from "../fixtures/test-run.ts"

const database = useTestDatabase(...shopTables)

async function begin(ranges: Range[]): Promise<ShopRun> {
  await database.forgetRuns()
  await database.query("DELETE FROM purchases")
  return beginRun(database.db, ranges)
}

const claim = (run: ShopRun, index: number, attempt = 0) => claimAsTask(database.db, run, index, index, attempt)

const written = () =>
  database.query("SELECT user_id, amount_cents, purchases FROM revenue_versions WHERE version = 1 ORDER BY user_id")
const expected = () =>
  database.query(`SELECT user_id, SUM(amount_cents) AS amount_cents, COUNT(*) AS purchases FROM purchases
    WHERE DATE(purchased_at) = '2026-11-22' AND user_id IS NOT NULL GROUP BY user_id ORDER BY user_id`)
test("the shards of any cut write together exactly what one GROUP BY of the day gives", async () => {
  await fc.assert(
    fc.asyncProperty(anyPurchases, anyCuts, async (purchases, cuts) => {
      const run = await begin(cutAt(...cuts.toSorted((a, b) => (a < b ? -1 : 1))))
      await database.query(insertPurchases(purchases))
      for (const shard of await listShards(database.db, run.runId)) {
        const done = await computeShard(database.db, run, await claim(run, shard.shardIndex))
        // The manifest is made of it: another attempt that reads it makes the same.
        expect(done).toEqual(await findShard(database.db, run.runId, shard.shardIndex))
      }
      const rows = await expected()
      expect(asText(await written())).toEqual(asText(rows))
      const shards = await listShards(database.db, run.runId)
      expect(shards.every((shard) => shard.state === "done")).toBe(true)
      expect(shards.reduce((sum, shard) => sum + (shard.rowCount ?? 0n), 0n)).toBe(BigInt(rows.length))
    }),
    { numRuns: 30 },
  )
})

test("several shards computed together are what each is alone, whether they lie side by side or not", async () => {
  await fc.assert(
    fc.asyncProperty(
      anyPurchases,
      anyCuts,
      fc.array(fc.boolean(), { minLength: 5 }),
      async (purchases, cuts, isChosen) => {
        const run = await begin(cutAt(...cuts.toSorted((a, b) => (a < b ? -1 : 1))))
        await database.query(insertPurchases(purchases))
        const shards = await listShards(database.db, run.runId)
        const [some, others] = [true, false].map((chosen) =>
          shards.filter(({ shardIndex }) => isChosen[shardIndex % isChosen.length] === chosen),
        )
        for (const part of [some, others]) {
          const claims: Claim[] = []
          for (const { shardIndex } of part ?? []) claims.push(await claim(run, shardIndex))
          if (claims.length === 0) continue
          const done = await computeShards(database.db, run, claims)
          const now = await listShards(database.db, run.runId)
          expect(done).toEqual(claims.map(({ shardIndex }) => now[shardIndex]))
          // An answer that was lost.
          expect(await computeShards(database.db, run, claims)).toEqual(done)
        }
        expect(asText(await written())).toEqual(asText(await expected()))
        const sums = await sumRows(
          database.db,
          run,
          shards.map((shard) => shardRange(integerUsers, shard)),
        )
        const done = await listShards(database.db, run.runId)
        expect(done.map(({ rowCount, checksum }) => [rowCount, BigInt(checksum ?? -1)])).toEqual(
          sums.map(({ totals, checksum }) => [totals.rows, checksum]),
        )
      },
    ),
    { numRuns: 30 },
  )
})

test("of several together nothing is written if one claim is stale, or if one cannot be written", async () => {
  const run = await begin(cutAt(10n))
  const most = "9223372036854775807"
  await database.query(
    insertPurchases([
      [1, 5, "2026-11-22 10:00:00"],
      [11, BigInt(most), "2026-11-22 10:00:00"],
    ]),
  )
  const first = await claim(run, 0)
  const second = await claim(run, 1)
  const newer = await claimAsTask(database.db, run, 1, 1, 1)
  await expect(computeShards(database.db, run, [first, second])).rejects.toThrow(StaleEpochError)
  await database.query(insertPurchases([[11, 1, "2026-11-22 11:00:00"]]))
  await expect(computeShards(database.db, run, [first, newer])).rejects.toThrow("Failed query")
  expect(await written()).toEqual([])
  expect((await listShards(database.db, run.runId)).map(({ state }) => state)).toEqual(["claimed", "claimed"])
})

test("computing a shard again replaces its rows by what the shop says now, and touches no other shard's", async () => {
  const run = await begin(cutAt(10n))
  await database.query(
    insertPurchases([
      [1, 5, "2026-11-22 10:00:00"],
      [2, 5, "2026-11-22 10:00:00"],
      [11, 5, "2026-11-22 10:00:00"],
    ]),
  )
  for (const index of [0, 1]) await computeShard(database.db, run, await claim(run, index))
  await database.query("DELETE FROM purchases WHERE user_id = 2", insertPurchases([[1, 7, "2026-11-22 11:00:00"]]))
  await database.query("UPDATE shards SET state = 'offered', epoch = epoch + 1 WHERE shard_index = 0")
  await database.query("UPDATE revenue_versions SET amount_cents = 99 WHERE user_id = 11")
  await computeShard(database.db, run, await claim(run, 0))
  expect(asText(await written())).toEqual(["1,12,2", "11,99,1"])
})

test("from its second claim on, a shard's rows that are there already are replaced, whoever left them", async () => {
  const run = await begin(cutAt(10n))
  await database.query(
    insertPurchases([
      [1, 5, "2026-11-22 10:00:00"],
      [11, 5, "2026-11-22 10:00:00"],
    ]),
  )
  await claim(run, 0, 0)
  // As after a restore in which the ledger lacks what the rows have: no mark says that this shard was written.
  for (const [user, amount] of [
    [1, 77],
    [2, 88],
    [11, 99],
  ]) {
    await database.query(
      `INSERT INTO revenue_versions (revenue_date, version, user_id, amount_cents, purchases) VALUES ('2026-11-22', 1, ${user}, ${amount}, 1)`,
    )
  }
  const second = await claim(run, 0, 1)
  expect(second.epoch).toBe(2)
  await computeShard(database.db, run, second)
  expect(asText(await written())).toEqual(["1,5,1", "11,99,1"])
})

test("a drifted shard's first rerun replaces its rows", async () => {
  const run = await begin(cutAt())
  await database.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  await computeShard(database.db, run, await claim(run, 0))
  await closeRun(database.db, run)
  await decideRun(database.db, run, { state: "incomplete", verdict: "{}" })
  await markAnnounced(database.db, run)
  await database.query("UPDATE purchases SET user_id = 2, amount_cents = 7")
  expect(await openNextDispatch(database.db, await reread(database.db, run), "request-2", [0])).toBe(true)
  const again = { ...(await reread(database.db, run)), shop: run.shop }
  await computeShard(database.db, again, await claim(again, 0))
  expect(asText(await written())).toEqual(["2,7,1"])
})

test("a task that lost its epoch writes nothing", async () => {
  const run = await begin(cutAt())
  await database.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  const stale = await claim(run, 0, 0)
  await claim(run, 0, 1)
  await expect(computeShard(database.db, run, stale)).rejects.toThrow(StaleEpochError)
  expect(await written()).toEqual([])
})

test("a task whose run got its verdict meanwhile writes nothing", async () => {
  const run = await begin(cutAt())
  await database.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  const late = await claim(run, 0)
  await closeRun(database.db, run)
  await decideRun(database.db, run, { state: "incomplete", verdict: "{}" })
  await expect(computeShard(database.db, run, late)).rejects.toThrow(StaleEpochError)
  expect(await written()).toEqual([])
})

test("computing twice under one claim, as after a commit whose answer was lost, changes nothing", async () => {
  const run = await begin(cutAt())
  await database.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  const claimed = await claim(run, 0)
  await computeShard(database.db, run, claimed)
  const first = await findShard(database.db, run.runId, 0)
  await database.query(insertPurchases([[1, 5, "2026-11-22 10:00:00"]]))
  await computeShard(database.db, run, claimed)
  expect(await findShard(database.db, run.runId, 0)).toEqual(first)
  expect(asText(await written())).toEqual(["1,5,1"])
})

test("a sum that does not fit into 64 bits is an error and writes nothing; sums of a shard may exceed them", async () => {
  const run = await begin(cutAt(10n))
  const big = 2n ** 63n - 1n
  await database.query(
    insertPurchases([
      [1, big, "2026-11-22 10:00:00"],
      [1, 1, "2026-11-22 10:00:00"],
      [11, big, "2026-11-22 10:00:00"],
      [12, big, "2026-11-22 10:00:00"],
    ]),
  )
  await expect(computeShard(database.db, run, await claim(run, 0))).rejects.toThrow("Failed query")
  await computeShard(database.db, run, await claim(run, 1))
  expect(asText(await written())).toEqual([`11,${big},1`, `12,${big},1`])
  expect((await findShard(database.db, run.runId, 1))?.amountCents).toBe(String(2n * big))
})
