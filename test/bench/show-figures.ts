import { renderTable } from "../../shared/terminal/render-table.ts"
import { phases } from "./compute-date.ts"
import type { BalanceFigures } from "./measure-balance.ts"
import { type DeclaredFigures, declaredSteps } from "./measure-declared.ts"
import type { GrowthFigures } from "./measure-growth.ts"
import type { MemoryFigures } from "./measure-memory.ts"
import type { OrchestrationFigures } from "./measure-orchestration.ts"
import type { RowsFigures, RowsStep } from "./measure-rows.ts"
import type { StartsFigures } from "./measure-starts.ts"
import { type WaysFigures, ways } from "./measure-ways.ts"
import {
  blockedMsMax,
  firstClaimMsMax,
  judgingMsMax,
  longestTaskMax,
  msPerShardMax,
  rowsReadMax,
  statementRatioMax,
} from "./targets.ts"

/** The first column is words, the others numbers. */
function table(titles: string[], rows: (string | number)[][]): string[] {
  const columns = titles.map((title, index) => ({ title, align: index === 0 ? ("left" as const) : ("right" as const) }))
  return [
    "",
    ...renderTable(
      columns,
      rows.map((row) => row.map(String)),
    ),
  ]
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`
const ratio = (value: number) => value.toFixed(3)
const atMost = (value: number | string | undefined) => (value === undefined ? "" : `≤ ${value}`)

export function showWays(figures: WaysFigures): string[] {
  const { medianMs, ratios, phaseMedianMs, counts, shards, purchases } = figures
  return [
    ...table(
      ["WAY", "MEDIAN", "DAYBOOK / WAY", "TARGET"],
      ways.map((way) => [
        way,
        seconds(medianMs[way]),
        ratio(ratios[way]),
        way === "one statement" ? atMost(statementRatioMax(purchases)) : "",
      ]),
    ),
    ...table(
      ["PHASE OF DAYBOOK", "MEDIAN"],
      phases.map((phase) => [phase, seconds(phaseMedianMs[phase])]),
    ),
    ...table(
      [`OF ONE RUN OF ${shards} SHARDS`, "COUNT", "PER SHARD"],
      Object.entries({ ...counts.database, ...counts.calls }).map(([name, count]) => [
        name,
        count,
        ratio(count / shards),
      ]),
    ),
  ]
}

export function showStarts({ medianMs, firstClaimMs, firstAnswerMs }: StartsFigures): string[] {
  return table(
    ["FROM PROCESS START TO", "MEDIAN", "LONGEST", "TARGET"],
    [
      [
        "a task's first claim",
        seconds(medianMs.firstClaim),
        seconds(Math.max(...firstClaimMs)),
        atMost(seconds(firstClaimMsMax)),
      ],
      ["the planner's first answer", seconds(medianMs.firstAnswer), seconds(Math.max(...firstAnswerMs)), ""],
    ],
  )
}

export function showRows(figures: RowsFigures[]): string[] {
  return table(
    ["ROWS READ PER PURCHASE", "DAYS", "PURCHASES", "TARGET", "REVENUE", "HANDLER_READ", "TIME"],
    figures.flatMap(({ way, days, steps }) =>
      (Object.keys(steps) as RowsStep[]).map((step) => {
        const { purchases, revenue, handler, ms } = steps[step]
        const target = way === "day-slice" ? atMost((rowsReadMax as Partial<Record<RowsStep, number>>)[step]) : ""
        return [`${step}, ${way}`, days, ratio(purchases), target, ratio(revenue), ratio(handler), seconds(ms)]
      }),
    ),
  )
}

export function showDeclared(figures: DeclaredFigures[]): string[] {
  return table(
    ["OF A DECLARED SHOP", "READ: PLAN", "COMPUTE", "VERIFY", "TIME / PLAIN: PLAN", "COMPUTE", "VERIFY"],
    figures.map(({ shop, read, timeRatio }) => [
      shop,
      ...declaredSteps.map((step) => ratio(read[step])),
      ...declaredSteps.map((step) => timeRatio[step].toFixed(2)),
    ]),
  )
}

export function showMemory(figures: MemoryFigures[]): string[] {
  return table(
    ["PURCHASES PER SHARD", "WORKER", "PLANNER", "FINALIZER"],
    figures.map(({ purchasesPerShard, worker, planner, finalizer }) => [
      purchasesPerShard,
      ...[worker, planner, finalizer].map((peak) => `${peak.toFixed(1)} MiB`),
    ]),
  )
}

export function showOrchestration(figures: OrchestrationFigures[]): string[] {
  const counters = [...new Set(figures.flatMap(({ counts }) => Object.keys({ ...counts.database, ...counts.calls })))]
  const rows = [
    ["total", ...figures.map(({ totalMs }) => seconds(totalMs))],
    ["ms per shard", ...figures.map(({ msPerShard }) => ratio(msPerShard))],
    ["target", ...figures.map(({ shards }) => (shards === 1_000 ? atMost(msPerShardMax) : ""))],
    ...phases.map((phase) => [phase, ...figures.map((figure) => seconds(figure.phases[phase]))]),
    ...counters.map((name) => [
      `${name} per shard`,
      ...figures.map(({ counts, shards }) => ratio(({ ...counts.database, ...counts.calls }[name] ?? 0) / shards)),
    ]),
  ]
  return table(["NEARLY EMPTY SHARDS", ...figures.map(({ shards }) => String(shards))], rows)
}

export function showBalance(figures: BalanceFigures[]): string[] {
  return table(
    ["USERS", "TASKS", "SHARDS", "BIGGEST SHARD / MEAN", "LONGEST TASK / MEAN", "TARGET"],
    figures.map(({ users, tasks, shards, biggestShard, longestTask }) => [
      users,
      tasks,
      shards,
      ratio(biggestShard),
      ratio(longestTask),
      atMost(longestTaskMax),
    ]),
  )
}

export function showGrowth({ planner, finalizer }: GrowthFigures): string[] {
  return table(
    ["GROWTH", "", "TARGET"],
    [
      ["purchases planned", planner.purchases],
      ["shards", planner.shards],
      ["statements", planner.statements],
      ["planner's own time", seconds(planner.ms)],
      ["bytes of the plan", planner.planBytes],
      ["biggest shard / mean", ratio(planner.evenness)],
      ["manifests as evidence", finalizer.manifests],
      ["gathering", seconds(finalizer.gatherMs)],
      ["judging and composing", seconds(finalizer.judgeMs + finalizer.composeMs), atMost(seconds(judgingMsMax))],
      ["event loop blocked at most", seconds(finalizer.blockedMs), atMost(seconds(blockedMsMax))],
      ["findings", finalizer.findings],
    ],
  )
}
