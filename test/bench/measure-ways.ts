import { computeDate, type Phase } from "./compute-date.ts"
import { type CallCounts, countCalls } from "./count-calls.ts"
import { date, forgetRuns, type Room } from "./fixture.ts"
import { measureCoreDistance } from "./measure-core-distance.ts"
import type { BenchOptions } from "./options.ts"
import { emptyRows, runEachUser, runGroupBy, runOneStatement } from "./other-ways.ts"
import { median, medians } from "./statistics.ts"

export const ways = ["one statement", "a query per user", "one GROUP BY per task", "Daybook"] as const
type Way = (typeof ways)[number]

export interface WaysFigures {
  /** Of the day. */
  purchases: number
  shards: number
  /** All measurements, in their order; ms. */
  times: Record<Way, number[]>
  medianMs: Record<Way, number>
  /** Daybook's median over each way's. */
  ratios: Record<Way, number>
  phaseMedianMs: Record<Phase, number>
  /** After each round: what explains that the same statements take longer in another one. None on a single core. */
  coreDistanceNs: number[]
  /** Of one run, the last. */
  counts: CallCounts
}

/** Measures each way once, then all of them again, as often as asked; one round before is not counted. */
export async function measureWays(
  room: Room,
  options: BenchOptions,
  say: (line: string) => void,
): Promise<WaysFigures> {
  const { tasks, sampleUsers } = options
  const times: Record<Way, number[]> = {
    "one statement": [],
    "a query per user": [],
    "one GROUP BY per task": [],
    Daybook: [],
  }
  const phaseTimes: Record<Phase, number>[] = []
  const coreDistanceNs: number[] = []
  let counts: CallCounts | undefined
  let shards = 0
  for (let round = 0; round <= options.repeat; round++) {
    const measure: Record<Way, () => Promise<number>> = {
      "one statement": () => emptyRows(room).then(() => runOneStatement(room)),
      "a query per user": () => emptyRows(room).then(() => runEachUser(room, tasks, sampleUsers)),
      "one GROUP BY per task": () => emptyRows(room).then(() => runGroupBy(room, tasks)),
      Daybook: async () => {
        await emptyRows(room)
        await forgetRuns(room)
        const [computed, counted] = await countCalls(room, () => computeDate(room, date))
        if (round > 0) phaseTimes.push(computed.phases)
        counts = counted
        shards = computed.shards.length
        return computed.totalMs
      },
    }
    const took: string[] = []
    for (const way of ways) {
      const ms = await measure[way]()
      if (round > 0) times[way].push(ms)
      took.push(`${way} ${(ms / 1000).toFixed(2)} s`)
    }
    const distance = await measureCoreDistance()
    if (distance !== undefined) {
      if (round > 0) coreDistanceNs.push(distance)
      took.push(`cores ${distance} ns apart`)
    }
    say(`${round === 0 ? "warm-up" : `round ${round}`}: ${took.join(", ")}`)
  }
  if (!counts) throw new Error("nothing was measured")
  const medianMs = mapWays((way) => median(times[way]))
  return {
    purchases: options.purchases,
    shards,
    times,
    medianMs,
    ratios: mapWays((way) => medianMs.Daybook / medianMs[way]),
    phaseMedianMs: medians(phaseTimes),
    coreDistanceNs,
    counts,
  }
}

function mapWays(figure: (way: Way) => number): Record<Way, number> {
  return Object.fromEntries(ways.map((way) => [way, figure(way)])) as Record<Way, number>
}
