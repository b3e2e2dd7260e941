import { type FastifyInstance, fastify } from "fastify"
import { describeError } from "../errors.ts"
import { slowClientLimits } from "../slow-clients.ts"
import { type ExplainError, errorFields } from "../telemetry/error-fields.ts"
import type { Log } from "../telemetry/log.ts"
import { findTraceParent } from "../telemetry/trace-parent.ts"
import { continueTrace, inTraceSpan } from "../telemetry/tracing.ts"
import type { VerifyToken } from "./verify-push-token.ts"

/** A Pub/Sub message as a push subscription delivers it. */
export interface PushMessage {
  id: string
  /** Last part of the subscription's name. */
  subscription: string
  publishedAt: Date
  attributes: Record<string, string>
  /** The message's data as text. */
  data: string
  /** How often it was delivered, this one included; undefined without a dead-letter policy. */
  deliveryAttempt?: number
}

/** Returns, and the message is acknowledged; throws, and it is delivered again. */
type TakeMessage = (message: PushMessage) => Promise<void>

export interface PushServerOptions {
  port: number
  host: string
  log: Log
  /** By path, such as `/run-requests`. */
  messages: Record<string, TakeMessage>
  /** Calls without a message, by path, such as `/sweep`. Each returns what failed, for its caller; undefined: nothing did. */
  calls?: Record<string, () => Promise<string | undefined>>
  /** Says who calls; without it, anybody may. */
  verify?: VerifyToken | undefined
  /** Turns what people can put right into a sentence for them. */
  explain?: ExplainError
  /** Sends the spans and metrics of a request before it is answered: afterwards Cloud Run gives the service no processor. */
  flush?: () => Promise<void>
}

// Pub/Sub's messages reach 10 MB, and base64 adds a third.
const BODY_BYTES_MAX = 15 * 1024 * 1024

// Of sending it: what an answer takes has nothing to do with it.
const REQUEST_MS_MAX = 60_000
const CONNECTIONS_MAX = 1_000

/** Serves push deliveries. This is the one place that decides whether a message is acknowledged, and logs why not. */
export async function startPushServer(options: PushServerOptions): Promise<{ url: string; close(): Promise<void> }> {
  const server: FastifyInstance = fastify({
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: "idle",
    requestTimeout: REQUEST_MS_MAX,
    http: slowClientLimits,
  })
  server.server.maxConnections = CONNECTIONS_MAX
  server.get("/healthz", () => ({ status: "ok" }))
  const connections = endConnections(server)
  guardCalls(server, options)
  refuseUnreadable(server, options.log)
  for (const [path, take] of Object.entries(options.messages)) serveMessages(server, path, take, options)
  for (const [path, run] of Object.entries(options.calls ?? {})) serveCall(server, path, run, options)
  await server.listen({ port: options.port, host: options.host })
  const address = server.server.address()
  const port = typeof address === "object" && address ? address.port : options.port
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      connections.areEnding = true
      await server.close()
    },
  }
}

/**
 * The connection of a delivery that is answered after the closing began would be kept alive for 72 s, and with it this
 * process, until it is killed.
 */
function endConnections(server: FastifyInstance): { areEnding: boolean } {
  const connections = { areEnding: false }
  server.addHook("onSend", async (_request, reply) => {
    if (connections.areEnding) void reply.header("connection", "close")
  })
  return connections
}

/** Before the body is read: who may not call may not make us read 15 MB either. */
function guardCalls(server: FastifyInstance, { verify, log }: PushServerOptions): void {
  if (!verify) return
  server.addHook("onRequest", async (request, reply) => {
    const path = request.routeOptions.url
    if (path === "/healthz") return
    try {
      const verdict = await verify(request.headers.authorization)
      if ("account" in verdict) return
      log.warn({ path, reason: verdict.refused }, "a call is refused: it does not prove who it comes from")
      await reply.code(request.headers.authorization ? 403 : 401).send({ error: "not for you" })
    } catch (error) {
      log.error({ path, error: describeError(error) }, "a call cannot be checked and is left to be repeated")
      await reply.code(503).send({ error: "not checked; repeat it" })
    }
  })
}

/** What cannot be read as JSON, or is too long. */
function refuseUnreadable(server: FastifyInstance, log: Log): void {
  // Cloud Scheduler sends no body, as application/octet-stream: https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget
  server.addContentTypeParser("*", { parseAs: "buffer" }, (_request, _body, done) => done(null, undefined))
  server.setErrorHandler(async (error: Error & { statusCode?: number }, request, reply) => {
    const { statusCode = 500 } = error
    log.warn({ path: request.routeOptions.url, statusCode, reason: error.message }, "a call is refused")
    return reply.code(statusCode).send({ error: error.message })
  })
}

function serveMessages(server: FastifyInstance, path: string, take: TakeMessage, options: PushServerOptions): void {
  server.post(path, async (request, reply) => {
    const message = readPush(request.body)
    if (typeof message === "string") {
      options.log.warn({ path, reason: message }, "what is no push delivery is refused")
      return reply.code(400).send({ error: message })
    }
    const isHandled = await continueTrace(findTraceParent(message.attributes, request.headers), () =>
      handle(path, message, take, options),
    ).then(
      () => true,
      () => false,
    )
    await options.flush?.()
    if (isHandled) return reply.code(204).send()
    return reply.code(503).send({ error: "not handled; deliver it again" })
  })
}

/** In a span that ends with the error, which is logged here and thrown again. */
function handle(
  path: string,
  message: PushMessage,
  take: TakeMessage,
  { log, explain }: PushServerOptions,
): Promise<void> {
  const { id, subscription, deliveryAttempt } = message
  const attributes = {
    "messaging.system": "gcp_pubsub",
    "messaging.operation.type": "process",
    "messaging.destination.subscription.name": subscription,
    "messaging.message.id": id,
  }
  const taken = async () => {
    try {
      await take(message)
    } catch (error) {
      log.error(
        { path, messageId: id, subscription, deliveryAttempt, ...errorFields(error, explain) },
        "a message could not be handled and is left to be delivered again",
      )
      throw error
    }
  }
  return inTraceSpan(`process ${path.slice(1)}`, {}, taken, { kind: "consumer", attributes })
}

function serveCall(
  server: FastifyInstance,
  path: string,
  run: () => Promise<string | undefined>,
  options: PushServerOptions,
): void {
  server.post(path, async (request, reply) => {
    // No span: most calls find nothing to do.
    const failure = await continueTrace(findTraceParent({}, request.headers), async () => {
      try {
        return await run()
      } catch (error) {
        options.log.error({ path, ...errorFields(error, options.explain) }, "a call failed and is left to be repeated")
        return "failed; repeat it"
      }
    })
    await options.flush?.()
    if (failure === undefined) return reply.code(204).send()
    return reply.code(503).send({ error: failure })
  })
}

/** https://cloud.google.com/pubsub/docs/push#receive_push; returns what is wrong if it is no push delivery. */
function readPush(body: unknown): PushMessage | string {
  const push = body as { message?: Record<string, unknown>; subscription?: unknown; deliveryAttempt?: unknown } | null
  if (typeof push === "object" && push && "specversion" in push) {
    return "a CloudEvent, and not a Pub/Sub push delivery: let a push subscription of the topic call this, and no trigger"
  }
  const message = push?.message
  if (!message || typeof message !== "object") {
    return "not a Pub/Sub push delivery: no message; does the subscription push without its wrapper? Then gcloud pubsub subscriptions update NAME --clear-push-no-wrapper-config"
  }
  const { messageId, publishTime, data, attributes } = message
  if (typeof messageId !== "string" || messageId === "") {
    const hint = "message_id" in message ? ", and message_id alone is none" : ""
    return `not a Pub/Sub push delivery: no message.messageId${hint}`
  }
  const publishedAt = new Date(typeof publishTime === "string" ? publishTime : Number.NaN)
  if (Number.isNaN(publishedAt.getTime())) return "not a Pub/Sub push delivery: no message.publishTime"
  return {
    id: messageId,
    subscription: (typeof push.subscription === "string" ? push.subscription : "").replace(/^.*\//, ""),
    publishedAt,
    attributes: (attributes ?? {}) as Record<string, string>,
    data: Buffer.from(typeof data === "string" ? data : "", "base64").toString("utf8"),
    ...(typeof push.deliveryAttempt === "number" ? { deliveryAttempt: push.deliveryAttempt } : {}),
  }
}
