import { VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { formatJson } from "../../schemas/json.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { followRun } from "../../shared/ledger/run-progress.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { openProgressLine } from "../../shared/terminal/render-progress.ts"
import { readStatusConfig } from "./config.ts"
import { listRuns } from "./list-runs.ts"
import { renderRun } from "./render-run.ts"
import { type RunDetail, readRunDetail, requireRun } from "./run-detail.ts"
import type { RunName } from "./run-name.ts"
import { showDays } from "./show-days.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

export interface StatusOptions {
  /** List runs rather than days. */
  runs: boolean
  /** How many runs the list has at most. */
  limit: number
  /** First and last day of the list. */
  from: string | undefined
  to: string | undefined
  /** Show progress until the run has its verdict. */
  watch: boolean
  json: boolean
}

/** `daybook status`: the days, the newest runs, or one run in detail. */
export async function showStatus(
  name: RunName | undefined,
  options: StatusOptions,
  terminal: Terminal,
): Promise<number> {
  const config = readStatusConfig(terminal.env)
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 1 })
  const { db } = database
  try {
    if (!name && options.runs) return await listRuns(db, options.limit, options.json, terminal)
    if (!name) return await showDays(db, config, options, terminal)
    const { runId } = await requireRun(db, name)
    if (options.watch) {
      const progress = openProgressLine(terminal.stderr)
      try {
        const follow = { log: await createLog("cli", "silent"), signal: terminal.signal }
        for await (const current of followRun(db, runId, follow)) progress.show(current)
      } catch (error) {
        if (terminal.signal.aborted) return exitCodes.interrupted
        throw error
      } finally {
        progress.end()
      }
    }
    const detail = await readRunDetail(db, runId, config)
    printResult(terminal, options.json, toDocument(detail), renderRun(detail))
    return exitCodes.ok
  } finally {
    await database.close()
  }
}

function toDocument({ run, progress, verdict, ...rest }: RunDetail) {
  const { shards, tasks, elapsedMs } = progress
  return {
    ...run,
    shards,
    tasks,
    elapsedMs,
    ...rest,
    verdict: verdict ? (JSON.parse(formatJson(VerdictSchema, verdict)) as unknown) : null,
  }
}
