import { openPubSub } from "../../shared/google/open-pubsub.ts"
import { formatRequest } from "../../shared/messages/format-request.ts"
import { nameRun, type PersonRequest } from "../../shared/messages/person-requests.ts"
import { publishRequest } from "../../shared/messages/publish-request.ts"
import type { SendOptions } from "./await-verdict.ts"
import { readPublishConfig } from "./config.ts"
import { dateOf, datesOfYesterday } from "./run-name.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"
import { whoAsks } from "./who-asks.ts"

/** What is followed by its run; a backfill and audits have commands of their own. */
export type RunRequest = Exclude<PersonRequest, { do: "backfill" | "audit" }>

/** Publishes a request and, if asked to, waits for what comes of it. Returns the exit code. */
export async function sendRequest(request: RunRequest, options: SendOptions, terminal: Terminal): Promise<number> {
  const what = describeRequest(request)
  if (!options.wait) {
    const { messageId } = await publish(request, options.note, terminal.env)
    const runId = findRunId(request, messageId)
    printResult(terminal, options.json, { requestId: messageId, ...(runId && { runId }) }, [
      `Asked for ${what}: message ${messageId}${runId ? `, run ${runId}` : ""}.`,
      `To follow it: npm run daybook -- status ${runId ? `${runId} --watch` : ""}`.trimEnd(),
    ])
    return exitCodes.ok
  }
  const { openWatch } = await import("./await-verdict.ts")
  // Before publishing: a request that nobody can follow is not what was asked for.
  const watch = await openWatch(terminal.env)
  try {
    const { topic, messageId } = await publish(request, options.note, terminal.env)
    terminal.stderr.write(`Asked for ${what}: message ${messageId}.\n`)
    return await watch.awaitVerdict({ topic, messageId, dates: listDatesOf(request) }, options, terminal)
  } finally {
    await watch.close()
  }
}

/** Publishes a request as the one who types it. */
export async function publish<Request extends PersonRequest>(
  request: Request,
  note: string | undefined,
  env: NodeJS.ProcessEnv,
) {
  const { topic, data } = formatRequest(request)
  const pubsub = openPubSub(readPublishConfig(env))
  try {
    return { topic, messageId: await publishRequest(pubsub, topic, data, whoAsks(note, env)) }
  } finally {
    await pubsub.close()
  }
}

/** What is asked for, such as `the newest run of 2026-11-22 to be shown`. */
function describeRequest(request: RunRequest): string {
  switch (request.do) {
    case "start":
      return request.date === "yesterday" ? "yesterday" : `the date ${request.date}`
    case "rerun": {
      const { run, shards } = request
      return `${shards ? `shards ${shards.join(", ")}` : "all that is wanting"} of ${describeRun(run)} to be computed again`
    }
    case "release":
      return `${describeRun(request.run)} to be shown`
    case "cancel":
      return `${"run" in request ? describeRun(request.run) : `backfill ${request.backfill}`} to be cancelled`
    case "pause":
    case "resume":
  }
  const what = request.backfill === undefined ? "everything" : `backfill ${request.backfill}`
  return `${what} to ${request.do === "pause" ? "pause" : "go on"}`
}

function describeRun(run: string): string {
  return nameRun(run).case === "runId" ? `run ${run}` : `the newest run of ${run}`
}

/** The dates that a request may be about. */
function listDatesOf(request: RunRequest): string[] {
  if (request.do === "start") return request.date === "yesterday" ? datesOfYesterday(new Date()) : [request.date]
  return "run" in request ? [dateOf(request.run)] : []
}

/** The run's id, where it is known before the planner has said so. */
function findRunId(request: RunRequest, messageId: string): string | undefined {
  if (request.do === "start") return request.date === "yesterday" ? undefined : `${request.date}-${messageId}`
  return "run" in request && nameRun(request.run).case === "runId" ? request.run : undefined
}
