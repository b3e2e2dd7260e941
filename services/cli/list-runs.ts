import type { Database } from "../../shared/database/open-database.ts"
import { listNewestRuns, type RunSummary } from "../../shared/ledger/runs/list-newest-runs.ts"
import { formatAmount } from "../../shared/terminal/render-amount.ts"
import { formatCount, formatDuration } from "../../shared/terminal/render-numbers.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

/** `daybook status`: the newest runs as a table. */
export async function listRuns(
  db: Database,
  { limit, scale, json }: { limit: number; scale: number; json: boolean },
  terminal: Terminal,
): Promise<number> {
  const summaries = await listNewestRuns(db, limit)
  const lines =
    summaries.length > 0 ? renderRuns(summaries, scale) : ["There is no run yet: npm run daybook -- start yesterday"]
  printResult(terminal, json, { runs: summaries }, lines)
  return exitCodes.ok
}

function renderRuns(summaries: RunSummary[], scale: number): string[] {
  const right = "right" as const
  return renderTable(
    [
      { title: "DATE" },
      { title: "VERSION", align: right },
      { title: "STATE" },
      { title: "SHOWN" },
      { title: "SHARDS", align: right },
      { title: "ROWS", align: right },
      { title: "PURCHASES", align: right },
      { title: "AMOUNT", align: right },
      { title: "ASKED", align: right },
      { title: "TOOK", align: right },
      { title: "RUN" },
    ],
    summaries.map((run) => [
      run.date,
      String(run.version),
      run.state,
      run.published ? "yes" : "no",
      `${formatCount(run.done)}/${run.shardCount === undefined ? "?" : formatCount(run.shardCount)}`,
      formatCount(run.rows),
      formatCount(run.purchases),
      formatAmount(run.amountCents, scale),
      `${formatDuration(run.ageMs)} ago`,
      run.decidedAt ? formatDuration(run.tookMs) : `${formatDuration(run.tookMs)} …`,
      run.runId,
    ]),
  )
}
