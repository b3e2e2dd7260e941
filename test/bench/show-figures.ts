import { renderTable } from "../../shared/render-table.ts"
import { phases } from "./compute-date.ts"
import { type WaysFigures, ways } from "./measure-ways.ts"

const right = "right" as const

export function showWays(figures: WaysFigures): string[] {
  const { medianMs, ratios, phaseMedianMs, counts, shards } = figures
  const perShard = (count: number) => [String(count), (count / shards).toFixed(2)]
  return [
    "",
    ...renderTable(
      [{ title: "WAY" }, { title: "MEDIAN", align: right }, { title: "DAYBOOK / WAY", align: right }],
      ways.map((way) => [way, seconds(medianMs[way]), ratios[way].toFixed(3)]),
    ),
    "",
    ...renderTable(
      [{ title: "PHASE OF DAYBOOK" }, { title: "MEDIAN", align: right }],
      phases.map((phase) => [phase, seconds(phaseMedianMs[phase])]),
    ),
    "",
    ...renderTable(
      [
        { title: `OF ONE RUN OF ${shards} SHARDS` },
        { title: "COUNT", align: right },
        { title: "PER SHARD", align: right },
      ],
      Object.entries({ ...counts.database, ...counts.calls }).map(([name, count]) => [name, ...perShard(count)]),
    ),
  ]
}

export const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`
