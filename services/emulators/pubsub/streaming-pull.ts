import type { protos } from "@google-cloud/pubsub"
import { type ServerDuplexStream, status } from "@grpc/grpc-js"
import { InjectedError } from "../faults.ts"
import { StatusError } from "../status-error.ts"
import type { Consumer, Delivery } from "./backlog.ts"
import { checkAckIds, checkExtension, PULL_BYTES_MAX, PULL_MESSAGES_MAX, toReceivedMessage } from "./pull.ts"
import { refuse } from "./refusals.ts"
import type { Store, Subscription } from "./store.ts"
import { checkAckDeadline } from "./subscription-settings.ts"
import { findPullSubscription } from "./subscriptions.ts"

type Request = protos.google.pubsub.v1.IStreamingPullRequest
type Response = protos.google.pubsub.v1.IStreamingPullResponse
export type PullStream = ServerDuplexStream<Request, Response>

/** Serves one stream from its first request, which names the subscription, to its end. */
export function serveStreamingPull(store: Store, stream: PullStream): void {
  let open: OpenStream | undefined
  const receive = (request: Request) => {
    try {
      if (open) open.receive(request)
      else open = openStream(store, stream, request)
    } catch (error) {
      stream.off("data", receive)
      stream.resume()
      open?.close()
      endWithError(stream, error)
    }
  }
  stream.on("data", receive)
  // The client has said all it will; Google ends the stream then.
  stream.on("end", () => {
    open?.close()
    stream.end()
  })
  stream.on("cancelled", () => open?.close())
}

interface OpenStream {
  receive(request: Request): void
  close(): void
}

/**
 * What is delivered and not acknowledged when a stream ends stays outstanding until its deadline: the client may still
 * acknowledge it on another stream.
 */
function openStream(store: Store, stream: PullStream, first: Request): OpenStream {
  const subscription = findPullSubscription(store, first.subscription)
  checkAckDeadline(first.streamAckDeadlineSeconds ?? 0)
  // From this version on a client takes silence of the server for a dead connection.
  const answersEach = Number(first.protocolVersion ?? 0) >= 1
  const flow = countOutstanding(Number(first.maxOutstandingMessages ?? 0), Number(first.maxOutstandingBytes ?? 0))
  let sending = false
  let closed = false

  const consumer: Consumer = {
    keepsKeys: true,
    ackDeadlineMs: (first.streamAckDeadlineSeconds ?? 0) * 1000,
    room: () => (sending || closed ? { messages: 0, bytes: 0 } : flow.room()),
    deliver: (deliveries) => {
      flow.add(deliveries)
      sending = true
      void deliver(deliveries)
    },
    ended: (delivery) => flow.remove(delivery),
  }
  const deliver = async (deliveries: Delivery[]) => {
    try {
      await send(store, stream, subscription, deliveries)
    } catch (error) {
      end(error)
    }
    sending = false
    subscription.backlog.poke()
  }
  const close = () => {
    closed = true
    subscription.waiting.delete(end)
    subscription.backlog.detach(consumer)
  }
  const end = (reason: unknown) => {
    close()
    endWithError(stream, reason)
  }
  const receive = (request: Request) => {
    if (closed) return
    if (request.streamAckDeadlineSeconds) {
      checkAckDeadline(request.streamAckDeadlineSeconds)
      consumer.ackDeadlineMs = request.streamAckDeadlineSeconds * 1000
    }
    const confirmations = applyAcknowledgements(subscription, request)
    if (answersEach || confirmations) {
      stream.write({ receivedMessages: [], ...confirmations, subscriptionProperties: propertiesOf(subscription) })
    }
  }

  receive({ ...first, streamAckDeadlineSeconds: 0 })
  subscription.waiting.add(end)
  subscription.backlog.attach(consumer)
  return {
    receive(request) {
      if (request.subscription) throw refuse("The subscription must be set in the first request of a stream only.")
      receive(request)
    },
    close,
  }
}

/** Flow control: 0 or less means no limit. What a fault or a full socket holds back is limited by one send at a time. */
function countOutstanding(messagesMax: number, bytesMax: number) {
  let messages = 0
  let bytes = 0
  return {
    room: () => ({
      messages: Math.min(PULL_MESSAGES_MAX, messagesMax > 0 ? messagesMax - messages : PULL_MESSAGES_MAX),
      bytes: Math.min(PULL_BYTES_MAX, bytesMax > 0 ? bytesMax - bytes : PULL_BYTES_MAX),
    }),
    add(deliveries: Delivery[]) {
      messages += deliveries.length
      for (const { message } of deliveries) bytes += message.bytes
    },
    remove({ message }: Delivery) {
      messages--
      bytes -= message.bytes
    },
  }
}

async function send(
  store: Store,
  stream: PullStream,
  subscription: Subscription,
  deliveries: Delivery[],
): Promise<void> {
  const response: Response = {
    receivedMessages: deliveries.map((delivery) => toReceivedMessage(subscription, delivery)),
    subscriptionProperties: propertiesOf(subscription),
  }
  const call = {
    server: "pubsub" as const,
    method: "StreamingPull",
    resource: subscription.resource.name,
    request: response,
  }
  await store.faults.around(call, async () => {
    if (!stream.write(response)) await drained(stream)
  })
}

/** Waits until the client has read on, or is gone. */
function drained(stream: PullStream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off("drain", done)
      stream.off("cancelled", done)
      resolve()
    }
    stream.on("drain", done)
    stream.on("cancelled", done)
  })
}

/** With exactly-once delivery each acknowledgement is confirmed, or told to be of no use. */
function applyAcknowledgements({ backlog, resource }: Subscription, request: Request): Response | undefined {
  const ackIds = request.ackIds?.length ? checkAckIds(request.ackIds) : []
  const unknown = new Set(ackIds.length > 0 ? backlog.acknowledge(ackIds) : [])
  const modified = request.modifyDeadlineAckIds ?? []
  const seconds = request.modifyDeadlineSeconds ?? []
  if (modified.length !== seconds.length) {
    throw refuse("modify_deadline_seconds and modify_deadline_ack_ids must have the same length.")
  }
  const unknownModified = new Set<string>()
  for (const [index, ackId] of modified.length > 0 ? checkAckIds(modified).entries() : []) {
    const [failed] = backlog.modifyDeadline([ackId], checkExtension(seconds[index] ?? 0) * 1000)
    if (failed !== undefined) unknownModified.add(failed)
  }
  if (!resource.enableExactlyOnceDelivery) return undefined
  const confirm = (ids: string[], failed: Set<string>) =>
    ids.length > 0 ? { ackIds: ids.filter((ackId) => !failed.has(ackId)), invalidAckIds: [...failed] } : null
  return {
    acknowledgeConfirmation: confirm(ackIds, unknown),
    modifyAckDeadlineConfirmation: confirm(modified, unknownModified),
  }
}

function propertiesOf({
  resource,
}: Subscription): protos.google.pubsub.v1.StreamingPullResponse.ISubscriptionProperties {
  return {
    exactlyOnceDeliveryEnabled: resource.enableExactlyOnceDelivery ?? false,
    messageOrderingEnabled: resource.enableMessageOrdering ?? false,
  }
}

function endWithError(stream: PullStream, error: unknown): void {
  const code =
    error instanceof StatusError ? error.code : error instanceof InjectedError ? status[error.status] : status.INTERNAL
  const details = error instanceof Error ? error.message : String(error)
  stream.emit("error", Object.assign(new Error(details), { code, details }))
}
