import { type Verdict, VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { formatJson } from "../../schemas/json.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { routeDatabase } from "../../shared/database/route-database.ts"
import { openBucket } from "../../shared/google/open-bucket.ts"
import { listNewestRuns } from "../../shared/ledger/runs/list-newest-runs.ts"
import type { RequestedDispatch } from "../../shared/ledger/runs/requests.ts"
import { followRequest, type RequestOutcome, type SentRequest } from "../../shared/messages/follow-request.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { openProgressLine } from "../../shared/terminal/render-progress.ts"
import { renderVerdict } from "../../shared/terminal/render-verdict.ts"
import { renderRetry } from "./render-retry.ts"
import { readWatchConfig } from "./shop-config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

export interface SendOptions {
  wait: boolean
  timeoutSeconds: number | undefined
  json: boolean
  /** Why it is asked for. */
  note: string | undefined
}

/** Ready to wait for verdicts. */
export interface Watch {
  /** Shows progress until the request is answered, prints the answer, and returns the exit code. */
  awaitVerdict(request: SentRequest, options: SendOptions, terminal: Terminal): Promise<number>
  close(): Promise<void>
}

/** Opens what waiting takes; throws if the database is not there or not migrated. */
export async function openWatch(env: NodeJS.ProcessEnv): Promise<Watch> {
  const config = readWatchConfig(env)
  const { scale } = config.SHOP_FILE
  const database = openDatabase({ ...(await routeDatabase(config)), connectionsMax: 1 })
  const bucket = openBucket(config)
  // Retries are not for the person at the terminal: errors reach them as a sentence.
  const log = await createLog("cli", "silent")
  try {
    await listNewestRuns(database.db, 1)
  } catch (error) {
    await database.close()
    throw error
  }
  return {
    awaitVerdict: async (request, options, terminal) => {
      const progress = openProgressLine(terminal.stderr)
      const timeout = options.timeoutSeconds === undefined ? [] : [AbortSignal.timeout(options.timeoutSeconds * 1_000)]
      const signal = AbortSignal.any([terminal.signal, ...timeout])
      let run: RequestedDispatch | undefined
      try {
        const outcome = await followRequest({ db: database.db, bucket }, request, {
          log,
          signal,
          onRun: (opened) => {
            if (opened.runId !== run?.runId) terminal.stderr.write(`It is run ${opened.runId}.\n`)
            run = opened
          },
          onProgress: (current) => progress.show(current),
        })
        progress.end()
        return printOutcome(request, outcome, scale, options.json, terminal)
      } catch (error) {
        progress.end()
        if (!signal.aborted) throw error
        return printGivenUp(request, run, options, terminal)
      }
    },
    close: () => database.close(),
  }
}

function printOutcome(
  request: SentRequest,
  outcome: RequestOutcome,
  scale: number,
  json: boolean,
  terminal: Terminal,
): number {
  const requestId = request.messageId
  if (outcome.kind === "rejected") {
    const { runId, reason } = outcome
    const document = { requestId, ...(runId && { runId }), verdict: "rejected", reason }
    printResult(terminal, json, document, [`rejected: ${reason}`])
    return exitCodes.failed
  }
  const { verdict } = outcome
  const { runId, date, version, dispatch } = verdict
  const document = { requestId, runId, date, version, dispatch, verdict: verdict.verdict, document: toJson(verdict) }
  printResult(terminal, json, document, [...renderVerdict(verdict, scale), ...renderRetry(verdict)])
  return verdict.verdict === "complete" ? exitCodes.ok : exitCodes.failed
}

/** The person or the time limit has ended the waiting, not the run. */
function printGivenUp(
  request: SentRequest,
  run: RequestedDispatch | undefined,
  options: SendOptions,
  terminal: Terminal,
): number {
  const interrupted = terminal.signal.aborted
  const why = interrupted ? "Interrupted" : `There is no verdict after ${options.timeoutSeconds} s`
  const what = run ? `run ${run.runId}` : `the request (message ${request.messageId})`
  const error = `${why}; ${what} goes on by itself: npm run daybook -- status${run ? ` ${run.runId}` : ""}`
  terminal.stderr.write(`${error}\n`)
  if (options.json) printResult(terminal, true, { requestId: request.messageId, ...run, error }, [])
  return interrupted ? exitCodes.interrupted : exitCodes.failed
}

/** The document as it is in the bucket. */
function toJson(verdict: Verdict): unknown {
  return JSON.parse(formatJson(VerdictSchema, verdict))
}
