import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http"
import { Agent as HttpsAgent, request as httpsRequest } from "node:https"
import type { protos } from "@google-cloud/pubsub"
import type { Consumer, Delivery } from "./backlog.ts"
import type { Push, Store, Subscription } from "./store.ts"

// Google begins with a few requests at a time and doubles while they succeed ("slow start"); this is a plain limit.
const PUSHES_IN_FLIGHT_MAX = 100
// Without a retry policy Google holds all pushes of a failing endpoint back, between these two
// (https://cloud.google.com/pubsub/docs/push#push_backoff); it also keeps a dead endpoint from a busy loop.
const PUSH_BACKOFF_MIN_MS = 100
const PUSH_BACKOFF_MAX_MS = 60_000
// https://cloud.google.com/pubsub/docs/push#receive_push
const ACKNOWLEDGING_STATUS = new Set([102, 200, 201, 202, 204])

/** Posts the subscription's messages to its endpoint until stopped. */
export function startPush(store: Store, subscription: Subscription, config: protos.google.pubsub.v1.IPushConfig): Push {
  const { backlog } = subscription
  const endpoint = new URL(config.pushEndpoint ?? "")
  const secure = endpoint.protocol === "https:"
  const agent = secure ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
  const inFlight = new Map<Delivery, AbortController>()
  const backoff = createBackoff(store, () => backlog.poke())
  let retired = false

  const consumer: Consumer = {
    oneOfKey: true,
    room: () => ({
      messages: retired || backoff.holds() ? 0 : PUSHES_IN_FLIGHT_MAX - inFlight.size,
      bytes: Number.POSITIVE_INFINITY,
    }),
    deliver: (deliveries) => {
      for (const delivery of deliveries) void push(delivery)
    },
    // The ack deadline is the timeout of the request: once it has passed, the answer is of no use.
    ended: (delivery) => inFlight.get(delivery)?.abort(),
  }

  const push = async (delivery: Delivery) => {
    const abort = new AbortController()
    inFlight.set(delivery, abort)
    const startedAt = store.clock.now()
    const failure = await post(delivery, abort.signal).then(
      (status) => (ACKNOWLEDGING_STATUS.has(status) ? undefined : `status ${status}`),
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    )
    inFlight.delete(delivery)
    if (retired && inFlight.size === 0) agent.destroy()
    if (failure) {
      store.log("push not acknowledged", {
        subscription: subscription.resource.name,
        endpoint: endpoint.href,
        messageId: delivery.message.messageId,
        attempt: delivery.attempt,
        failure,
      })
      if (!subscription.resource.retryPolicy && !retired) backoff.fail(startedAt)
      backlog.modifyDeadline([delivery.ackId], 0)
    } else {
      backoff.succeed()
      backlog.acknowledge([delivery.ackId])
    }
    backlog.poke()
  }

  const post = (delivery: Delivery, signal: AbortSignal): Promise<number> => {
    const body = pushBody(subscription, delivery)
    const call = { server: "pubsub" as const, method: "push", resource: subscription.resource.name, request: body }
    return store.faults.around(call, async () => {
      const headers: Record<string, string> = {
        "content-type": "application/json",
        "user-agent": "CloudPubSub-Google",
        ...(await authorize(store, config)),
      }
      const send = secure ? httpsRequest : httpRequest
      return postJson(send(endpoint, { method: "POST", headers, agent, signal }), JSON.stringify(body))
    })
  }

  const retire = () => {
    retired = true
    backlog.detach(consumer)
    backoff.stop()
    if (inFlight.size === 0) agent.destroy()
  }

  backlog.attach(consumer)
  return {
    config,
    retire,
    stop() {
      retire()
      for (const abort of inFlight.values()) abort.abort()
      agent.destroy()
    },
  }
}

/** The wrapped body (https://cloud.google.com/pubsub/docs/push#receive_push): each id and time under two names. */
function pushBody({ resource }: Subscription, { message, attempt }: Delivery): Record<string, unknown> {
  const publishTime = new Date(message.publishedAt).toISOString()
  return {
    ...(resource.deadLetterPolicy ? { deliveryAttempt: attempt } : {}),
    message: {
      ...(Object.keys(message.attributes).length > 0 ? { attributes: message.attributes } : {}),
      ...(message.data.length > 0 ? { data: message.data.toString("base64") } : {}),
      messageId: message.messageId,
      message_id: message.messageId,
      ...(message.orderingKey ? { orderingKey: message.orderingKey } : {}),
      publishTime,
      publish_time: publishTime,
    },
    subscription: resource.name,
  }
}

async function authorize(store: Store, config: protos.google.pubsub.v1.IPushConfig): Promise<Record<string, string>> {
  if (!config.oidcToken) return {}
  const token = await store.pushTokens({
    // "If not specified, the Push endpoint URL will be used."
    audience: config.oidcToken.audience || (config.pushEndpoint ?? ""),
    serviceAccountEmail: config.oidcToken.serviceAccountEmail ?? "",
  })
  return { authorization: `Bearer ${token}` }
}

/** Sends the body and gives the status of the answer; 102 counts as soon as it comes. */
function postJson(request: ReturnType<typeof httpRequest>, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request.on("error", reject)
    request.on("information", ({ statusCode }: { statusCode: number }) => {
      if (ACKNOWLEDGING_STATUS.has(statusCode)) resolve(statusCode)
    })
    request.on("response", (response: IncomingMessage) => {
      // The connection is only used again once the answer has been read.
      response.resume()
      response.on("error", reject)
      resolve(response.statusCode ?? 0)
    })
    request.end(body)
  })
}

/** Holds the pushes of a failing endpoint back, twice as long with each round of failures. */
function createBackoff(store: Store, resume: () => void) {
  let delayMs = 0
  let heldAt = Number.NEGATIVE_INFINITY
  let cancel: (() => void) | undefined
  return {
    holds: () => cancel !== undefined,
    fail(startedAt: number) {
      // Pushes that were already under way when the last one failed belong to the same round.
      if (cancel || startedAt < heldAt) return
      heldAt = store.clock.now()
      delayMs = Math.min(Math.max(PUSH_BACKOFF_MIN_MS, delayMs * 2), PUSH_BACKOFF_MAX_MS)
      cancel = store.clock.after(delayMs, () => {
        cancel = undefined
        resume()
      })
    },
    succeed() {
      delayMs = 0
    },
    stop() {
      cancel?.()
    },
  }
}
