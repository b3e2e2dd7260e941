import { openPubSub } from "../../shared/google/open-pubsub.ts"
import type { SentRequest } from "../../shared/messages/follow-request.ts"
import { publishRequest } from "../../shared/messages/publish-request.ts"
import type { SendOptions } from "./await-verdict.ts"
import { readPublishConfig } from "./config.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"
import { whoAsks } from "./who-asks.ts"

export interface RequestToSend {
  topic: SentRequest["topic"]
  /** The message, JSON. */
  data: string
  dates: string[]
  /** What is asked for, such as `the run of 2026-11-22`. */
  what: string
  /** The run's id, where it is known before the planner has said so. */
  runIdOf(messageId: string): string | undefined
}

/** Publishes a request and, if asked to, waits for what comes of it. Returns the exit code. */
export async function sendRequest(request: RequestToSend, options: SendOptions, terminal: Terminal): Promise<number> {
  if (!options.wait) {
    const messageId = await publish(request.topic, request.data, options.note, terminal.env)
    const runId = request.runIdOf(messageId)
    printResult(terminal, options.json, { requestId: messageId, ...(runId && { runId }) }, [
      `Asked for ${request.what}: message ${messageId}${runId ? `, run ${runId}` : ""}.`,
      `To follow it: npm run daybook -- status ${runId ? `${runId} --watch` : ""}`.trimEnd(),
    ])
    return exitCodes.ok
  }
  const { openWatch } = await import("./await-verdict.ts")
  // Before publishing: a request that nobody can follow is not what was asked for.
  const watch = await openWatch(terminal.env)
  try {
    const messageId = await publish(request.topic, request.data, options.note, terminal.env)
    terminal.stderr.write(`Asked for ${request.what}: message ${messageId}.\n`)
    return await watch.awaitVerdict({ topic: request.topic, messageId, dates: request.dates }, options, terminal)
  } finally {
    await watch.close()
  }
}

/** Publishes a request as the one who types it, and returns its message id. */
export async function publish(
  topic: string,
  data: string,
  note: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const pubsub = openPubSub(readPublishConfig(env))
  try {
    return await publishRequest(pubsub, topic, data, whoAsks(note, env))
  } finally {
    await pubsub.close()
  }
}
