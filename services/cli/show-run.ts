import { VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { formatJson } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { followRun } from "../../shared/ledger/runs/run-progress.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { openProgressLine } from "../../shared/terminal/render-progress.ts"
import { renderRun } from "./render-run.ts"
import { type RunDetail, readRunDetail, requireRun } from "./run-detail.ts"
import type { readStatusConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

/** `daybook status` of a run: all there is to know of it, with `watch` after its progress up to the verdict. */
export async function showRun(
  db: Database,
  name: string,
  config: ReturnType<typeof readStatusConfig>,
  { watch, json }: { watch: boolean; json: boolean },
  terminal: Terminal,
): Promise<number> {
  const { runId } = await requireRun(db, name)
  if (watch) {
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
  printResult(terminal, json, toDocument(detail), renderRun(detail, config.SHOP_FILE.scale))
  return exitCodes.ok
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
