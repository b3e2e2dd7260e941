import { once } from "node:events"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import type { PubSub } from "@google-cloud/pubsub"
import type { Cloud } from "../../services/local/cloud.ts"

/** A delivery as Pub/Sub has sent it; it can be sent again, to anybody. */
export interface PushDelivery {
  path: string
  headers: IncomingHttpHeaders
  body: string
}

/** What becomes of a delivery. Without `answerOf` it is answered as the service answers. */
interface DeliveryPlan {
  /** How often the service gets it, at once and each after its own delay; 0 loses it, and it is acknowledged. */
  delaysMs: number[]
}

export interface PushRelay {
  /** Decides about each delivery; by default each comes once and at once. */
  plan: (delivery: PushDelivery) => DeliveryPlan
  /** Every delivery so far. */
  deliveries: PushDelivery[]
  /** Further finalizers: what goes to one goes to all of them. */
  finalizers: string[]
  /** Sends a delivery to its services once more. */
  redeliver(delivery: PushDelivery): Promise<number[]>
  /** Settles when no copy is on its way any more. */
  idle(): Promise<void>
  stop(): Promise<void>
}

const subscriptions = [
  "planner-run-requests",
  "planner-rerun-requests",
  "finalizer-shard-reports",
  "finalizer-audit-requests",
]
const NO_SERVICE = 503

// Cloud Run holds a request until an instance has started: https://cloud.google.com/run/docs/about-instance-autoscaling
const START_TIMEOUT_MS = 10_000
const START_POLL_MS = 10

/** Stands between Pub/Sub's pushes and the services, as a network that doubles, delays, reorders and loses. */
export async function startPushRelay(cloud: Cloud, pubsub: PubSub): Promise<PushRelay> {
  const underWay = new Set<Promise<unknown>>()
  const relay: PushRelay = {
    plan: () => ({ delaysMs: [0] }),
    deliveries: [],
    finalizers: [],
    redeliver: (delivery) => Promise.all(targetsOf(delivery).map((url) => post(url, delivery))),
    idle: async () => {
      while (underWay.size > 0) await Promise.all(underWay)
    },
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, "close")
    },
  }
  const targetsOf = ({ path }: PushDelivery) =>
    path === "/shard-reports" || path === "/audit-requests"
      ? [cloud.services.finalizer.url, ...relay.finalizers]
      : [cloud.services.planner.url]

  /** Returns the worst of the answers: the message is acknowledged when every copy was. */
  async function pass(delivery: PushDelivery): Promise<number> {
    const copies = relay.plan(delivery).delaysMs.map(async (ms) => {
      if (ms > 0) await wait(ms)
      return relay.redeliver(delivery)
    })
    const answers = Promise.all(copies)
    underWay.add(answers)
    try {
      return Math.max(204, ...(await answers).flat())
    } finally {
      underWay.delete(answers)
    }
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const delivery = { path: request.url ?? "", headers: request.headers, body: Buffer.concat(chunks).toString() }
      relay.deliveries.push(delivery)
      void pass(delivery).then((status) => response.writeHead(status).end())
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  for (const resource of cloud.pubsub.subscriptions()) {
    const name = resource.name?.split("/").at(-1) ?? ""
    if (!subscriptions.includes(name) || !resource.pushConfig) continue
    const { pathname } = new URL(resource.pushConfig.pushEndpoint ?? "")
    const pushEndpoint = `http://127.0.0.1:${port}${pathname}`
    const { oidcToken } = resource.pushConfig
    await pubsub.subscription(name).modifyPushConfig({ pushEndpoint, ...(oidcToken ? { oidcToken } : {}) })
  }
  return relay
}

async function post(url: string, { path, headers, body }: PushDelivery): Promise<number> {
  const { authorization = "" } = headers
  for (const deadline = Date.now() + START_TIMEOUT_MS; ; await wait(START_POLL_MS)) {
    try {
      const response = await fetch(`${url}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization },
        body,
      })
      await response.body?.cancel()
      return response.status
    } catch (error) {
      if (!isRefused(error) || Date.now() > deadline) return NO_SERVICE
    }
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof Error && (error.cause as { code?: string } | undefined)?.code === "ECONNREFUSED"
}

/** The message in a delivery. */
export function messageOf(delivery: PushDelivery): { id: string; data: Record<string, unknown> } {
  const { message } = JSON.parse(delivery.body) as { message: { data: string; messageId: string } }
  return { id: message.messageId, data: JSON.parse(Buffer.from(message.data, "base64").toString()) as never }
}
