import { computeDate, type Phase } from "./compute-date.ts"
import { type CallCounts, countCalls } from "./count-calls.ts"
import { fillDay } from "./fill-day.ts"
import { forgetRuns, type Room } from "./fixture.ts"
import { addShopTables } from "./spare-database.ts"

export interface OrchestrationFigures {
  shards: number
  totalMs: number
  msPerShard: number
  phases: Record<Phase, number>
  counts: CallCounts
}

/**
 * In a room where a shard is one purchase: days of as many users as shards are wanted, who buy one thing each. Each is
 * computed as often as asked, and the figures are those of the run in the middle.
 */
export async function measureOrchestration(
  room: Room,
  sizes: number[],
  repeat: number,
): Promise<OrchestrationFigures[]> {
  await addShopTables(room.databaseUrl)
  const figures: OrchestrationFigures[] = []
  for (const [at, size] of sizes.entries()) {
    const date = new Date(Date.UTC(2026, 0, 1 + at)).toISOString().slice(0, 10)
    await fillDay(room, date, size, "n * 7")
    const runs: OrchestrationFigures[] = []
    // The first begins with everything cold.
    for (let round = 0; round <= repeat; round++) {
      await forgetRuns(room)
      const [{ shards, totalMs, phases }, counts] = await countCalls(room, () => computeDate(room, date))
      if (round > 0) {
        runs.push({ shards: shards.length, totalMs, msPerShard: totalMs / shards.length, phases, counts })
      }
    }
    const middle = runs.toSorted((a, b) => a.totalMs - b.totalMs)[runs.length >> 1]
    if (middle) figures.push(middle)
  }
  return figures
}
