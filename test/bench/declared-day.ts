import { openShop } from "../../schemas/database/shop.ts"
import { listSliceDdl } from "../../schemas/database/shop-ddl.ts"
import { sumGuests, sumSource } from "../../services/finalizer/proof/sum-source.ts"
import type { ServerKind } from "../../services/local/database/find-server.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { computeShard } from "../../services/worker/compute-shards.ts"
import { readConfig } from "../../shared/config/read-config.ts"
import { shopSettings } from "../../shared/config/shop-settings.ts"
import { allRows, openDatabase } from "../../shared/database/open-database.ts"
import { chooseRead } from "../../shared/day/choose-read.ts"
import { sumRows } from "../../shared/day/revenue-rows.ts"
import { createRun } from "../../shared/ledger/runs/create-run.ts"
import { claimShard } from "../../shared/ledger/shards/claim-shards.ts"
import { newRun, openFirstDispatch } from "../fixtures/test-run.ts"
import { tableReads } from "./measure-rows.ts"

/*
 * A process of its own, which has read nothing before: computes one day of the database of `DAY_URL` as SHOP_FILE declares,
 * and prints what each step read and how long it took, as JSON.
 */

const {
  DAY_URL: url = "",
  DAY_KIND: kind = "mariadb",
  DAY_SHARDS: shards = "",
  DAY_PURCHASES: purchases = "",
} = process.env
const shop = openShop(readConfig(shopSettings, process.env).SHOP_FILE)
const { db, close } = openDatabase({ url, connectionsMax: 1 })
// What a shop has once: not part of a day.
if (shop.layout.fingerprint !== undefined && process.env["DAY_FIRST"]) {
  for (const statement of listSliceDdl(shop.layout)) await db.execute(statement)
}
const day = { ...newRun(), shop }
const run = { ...(await createRun(db, { ...day, ...(await chooseRead(db, day)) })), shop }

const [ranges, plan] = await step(() =>
  Array.fromAsync(planRanges(db, run, { shardPurchases: Number(purchases) / Number(shards) })),
)
await openFirstDispatch(db, run, ranges)
const task = { execution: "bench", taskIndex: 0, attempt: 0 }
const claims = await Promise.all(
  ranges.map((_, shardIndex) => claimShard(db, { runId: run.runId, shardIndex, dispatch: 0 }, task)),
)
const [, compute] = await step(async () => {
  for (const claim of claims) if (claim) await computeShard(db, run, claim)
})
const [totals, verify] = await step(async () => {
  await sumGuests(db, run)
  return { source: await sumSource(db, run, ranges), rows: await sumRows(db, run, ranges) }
})
await close()
const isSame = totals.source.every(({ checksum }, at) => checksum === totals.rows[at]?.checksum)
if (!isSame) throw new Error("Revenue is not the shop")
console.log(JSON.stringify({ plan, compute, verify }))

async function step<T>(work: () => Promise<T>): Promise<[T, { read: number; ms: number }]> {
  const before = await readTables()
  const startedAt = performance.now()
  const result = await work()
  const ms = performance.now() - startedAt
  return [result, { read: ((await readTables()) - before) / Number(purchases), ms }]
}

/** Rows of the shop's tables that were read so far. */
async function readTables(): Promise<number> {
  const database = new URL(url).pathname.slice(1)
  let sum = 0
  for (const { table } of shop.layout.sources) {
    const query = tableReads[kind as ServerKind](database, table)
    const [row] = allRows<{ read: string | number }>(await db.execute(query))
    sum += Number(row?.read ?? 0)
  }
  return sum
}
