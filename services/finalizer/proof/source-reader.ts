import type { Database } from "../../../shared/database/open-database.ts"
import { readSource } from "../../../shared/database/read-source.ts"
import type { Throttle } from "../../../shared/database/throttle.ts"
import { parseMultipliers } from "../../../shared/day/checksum.ts"
import type { CheckedTotals, Totals } from "../../../shared/day/totals.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { listShards, type Shard } from "../../../shared/ledger/shards/find-shards.ts"
import { shardRange } from "../../../shared/ledger/shards/shard-range.ts"
import { areTiles, type DaySums, sumScan } from "./sum-scan.ts"
import { sumGuests, sumSource } from "./sum-source.ts"
import { awaitShop } from "./throttles.ts"

/** Reads what a run's shards and its guests come to in the shop now. */
export interface SourceReader {
  sumShards(shards: Shard[]): Promise<CheckedTotals[]>
  sumGuests(): Promise<Totals>
}

/** By most paths each shard is read by itself, when it is asked for. A day that is read as it is, is read once for all. */
export async function openSourceReader(
  db: Database,
  shopDb: Database,
  run: ShopRun,
  throttle: Throttle,
): Promise<SourceReader> {
  const rangeOf = (shard: Shard) => shardRange(run.shop.layout.userType, shard)
  const shards = run.accessPath === "day-scan" ? await listShards(db, run.runId) : []
  const ranges = shards.map(rangeOf)
  if (run.accessPath !== "day-scan" || !areTiles(ranges)) {
    return {
      sumShards: (of) => readSource(() => sumSource(shopDb, run, of.map(rangeOf))),
      sumGuests: () => readSource(() => sumGuests(shopDb, run)),
    }
  }
  let reading: Promise<DaySums> | undefined
  const readDay = () => (reading ??= sumDay(shopDb, run, shards, async () => (await awaitShop(throttle), true)))
  return {
    async sumShards(of) {
      const day = await readDay()
      const places = new Map(shards.map(({ shardIndex }, at) => [shardIndex, day.shards[at]]))
      return of.map(({ shardIndex }) => {
        const sums = places.get(shardIndex)
        if (!sums) throw new Error(`shard ${shardIndex} of run ${run.runId} was added while the day was read`)
        return sums
      })
    },
    sumGuests: async () => (await readDay()).guests,
  }
}

async function sumDay(shopDb: Database, run: ShopRun, shards: Shard[], pass: () => Promise<boolean>): Promise<DaySums> {
  const sums = await sumShardsAtOnce(shopDb, run, shards, pass)
  if (!sums) throw new Error(`the day of run ${run.runId} was not read to its end`)
  return sums
}

/** Adds up all of some shards, which are tiles, in one pass; undefined if `pass` ended it. */
export function sumShardsAtOnce(
  shopDb: Database,
  run: ShopRun,
  shards: Shard[],
  pass: () => Promise<boolean>,
): Promise<DaySums | undefined> {
  const ranges = shards.map((shard) => shardRange(run.shop.layout.userType, shard))
  const purchases = shards.reduce((sum, shard) => sum + Number(shard.purchases ?? 0), 0)
  const options = { multipliers: parseMultipliers(run.checksumMultipliers), purchases, pass }
  return readSource(() => sumScan(shopDb, run, ranges, options))
}
