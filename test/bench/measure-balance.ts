import { plainShop } from "../../schemas/database/shop.ts"
import { sumSource } from "../../services/finalizer/proof/sum-source.ts"
import { planRanges } from "../../services/planner/plan-ranges.ts"
import { fillDay } from "./fill-day.ts"
import { date, type Room } from "./fixture.ts"
import { addShopTables, withSpareDatabase } from "./spare-database.ts"

export interface BalanceFigures {
  users: string
  tasks: number
  shards: number
  /** The biggest shard's purchases over the mean. */
  biggestShard: number
  /** The longest task's purchases over the mean. */
  longestTask: number
}

const PURCHASES = 400_000
const SHARDS = 20
const TASKS = [2, 10]
const RANDOM = "(CRC32(n * 1999999973) / 4294967296e0)"

const skews: Record<string, string> = {
  // The user of rank r buys in proportion to 1/r: 100,000 users, the first has 9 % of all purchases.
  "Zipf, big buyers anywhere": `MOD(FLOOR(EXP(${RANDOM} * LN(100000))) * 61803, 100003)`,
  "Zipf, big buyers first": `FLOOR(EXP(${RANDOM} * LN(100000)))`,
  "one user buys a tenth": "IF(MOD(n, 10) = 0, 350000, MOD(n * 7919, 100003) * 7)",
  "all in a corner of the ids": "IF(n = 0, -4000000000000000000, 9000000000000000000 + MOD(n * 7919, 50021))",
}

/** How evenly tasks share a day, if a task that has finished a shard takes the next one: by purchases, not by time. */
export async function measureBalance(room: Room): Promise<BalanceFigures[]> {
  const day = {
    shop: plainShop,
    fromAt: new Date(`${date}T00:00:00Z`),
    toAt: new Date(Date.parse(`${date}T00:00:00Z`) + 86_400_000),
    sourceIndex: "purchases_day_slice",
    accessPath: "day-slice" as const,
    timeZone: "UTC",
    checksumMultipliers: null,
  }
  const figures: BalanceFigures[] = []
  for (const [users, user] of Object.entries(skews)) {
    await withSpareDatabase(room, async (spare) => {
      await addShopTables(spare.url)
      await fillDay(spare, date, PURCHASES, user)
      const ranges = await Array.fromAsync(planRanges(spare.db, day, { shardPurchases: PURCHASES / SHARDS }))
      const sizes = (await sumSource(spare.db, day, ranges)).map(({ totals }) => Number(totals.purchases))
      const biggestShard = (Math.max(...sizes) * sizes.length) / PURCHASES
      for (const tasks of TASKS) {
        const longestTask = (Math.max(...share(sizes, tasks)) * tasks) / PURCHASES
        figures.push({ users, tasks, shards: sizes.length, biggestShard, longestTask })
      }
    })
  }
  return figures
}

/** What each task gets to do: the next shard goes to the task that has done least. */
function share(sizes: number[], tasks: number): number[] {
  const done = Array.from({ length: tasks }, () => 0)
  for (const size of sizes) done[done.indexOf(Math.min(...done))]! += size
  return done
}
