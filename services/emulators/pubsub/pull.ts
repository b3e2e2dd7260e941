import type { protos } from "@google-cloud/pubsub"
import { status } from "@grpc/grpc-js"
import type { UnaryCall, UnaryMethods } from "../service-methods.ts"
import { StatusError } from "../status-error.ts"
import type { Consumer, Delivery } from "./backlog.ts"
import { toPubsubMessage } from "./messages.ts"
import { refuse } from "./refusals.ts"
import type { Store, Subscription } from "./store.ts"
import { ACK_DEADLINE_MAX_S } from "./subscription-settings.ts"
import { findPullSubscription, findSubscription } from "./subscriptions.ts"

// A pull returns at most this many, whatever it asks for: https://cloud.google.com/pubsub/quotas#resource_limits
export const PULL_MESSAGES_MAX = 1000
// Keeps an answer within what clients accept (20 MB): one more message of 10 MB may follow.
export const PULL_BYTES_MAX = 9_000_000
// "The maximum size of an acknowledge request is 512 KiB."
const ACK_REQUEST_BYTES_MAX = 512 * 1024
// A pull that finds nothing comes back empty after this long; the documentation only says "a bounded amount of time", and
// Google's clients give up after a minute.
const LONG_POLL_MS = 30_000

const ACK_ID = /^\d+-[0-9a-z]+$/

export function pullMethods(store: Store): UnaryMethods {
  return {
    Pull: (request: protos.google.pubsub.v1.IPullRequest, call) => pull(store, request, call),
    Acknowledge: (request: protos.google.pubsub.v1.IAcknowledgeRequest) => {
      const subscription = findSubscription(store, request.subscription)
      tellUnknown(subscription, subscription.backlog.acknowledge(checkAckIds(request.ackIds)))
      return {}
    },
    ModifyAckDeadline: (request: protos.google.pubsub.v1.IModifyAckDeadlineRequest) => {
      const subscription = findSubscription(store, request.subscription)
      const seconds = checkExtension(request.ackDeadlineSeconds ?? 0)
      tellUnknown(subscription, subscription.backlog.modifyDeadline(checkAckIds(request.ackIds), seconds * 1000))
      return {}
    },
  }
}

/**
 * With exactly-once delivery who acknowledges too late is told so, for each id:
 * https://cloud.google.com/pubsub/docs/exactly-once-delivery
 */
function tellUnknown({ resource }: Subscription, ackIds: string[]): void {
  if (!resource.enableExactlyOnceDelivery || ackIds.length === 0) return
  throw new StatusError(
    status.FAILED_PRECONDITION,
    "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have expired.",
    {
      reason: "EXACTLY_ONCE_ACKID_FAILURE",
      domain: "pubsub.googleapis.com",
      metadata: Object.fromEntries(ackIds.map((ackId) => [ackId, "PERMANENT_FAILURE_INVALID_ACK_ID"])),
    },
  )
}

/** What a subscriber gets; only a dead-letter policy makes Google count the attempts. */
export function toReceivedMessage(
  subscription: Subscription,
  { ackId, message, attempt }: Delivery,
): protos.google.pubsub.v1.IReceivedMessage {
  const deliveryAttempt = subscription.resource.deadLetterPolicy ? attempt : 0
  return { ackId, message: toPubsubMessage(message), deliveryAttempt }
}

export function checkAckIds(ackIds: string[] | null | undefined): string[] {
  if (!ackIds?.length) throw refuse("You have not specified an ack ID in the request.")
  let bytes = 0
  for (const ackId of ackIds) {
    if (!ACK_ID.test(ackId)) throw refuse(`You have passed an invalid ack ID to the service (ack_id=${ackId}).`)
    bytes += ackId.length
  }
  if (bytes > ACK_REQUEST_BYTES_MAX) {
    throw refuse(`Request payload size exceeds the limit: ${ACK_REQUEST_BYTES_MAX} bytes.`)
  }
  return ackIds
}

/** Seconds from now: 0 is a nack, so the least is not an ack deadline's. */
export function checkExtension(seconds: number): number {
  if (seconds < 0 || seconds > ACK_DEADLINE_MAX_S) {
    throw refuse(
      `Invalid ack deadline given (ack_deadline_seconds=${seconds}): it must be between 0 and ${ACK_DEADLINE_MAX_S} ` +
        "seconds.",
    )
  }
  return seconds
}

async function pull(
  store: Store,
  request: protos.google.pubsub.v1.IPullRequest,
  call: UnaryCall,
): Promise<protos.google.pubsub.v1.IPullResponse> {
  const subscription = findPullSubscription(store, request.subscription)
  const maxMessages = request.maxMessages ?? 0
  if (maxMessages <= 0) {
    throw refuse(
      `The value for max_messages is too small. You passed ${maxMessages} in the request, but the minimum value is 1.`,
    )
  }
  const deliveries = await takeOnce(store, subscription, {
    messages: Math.min(maxMessages, PULL_MESSAGES_MAX),
    waitMs: request.returnImmediately ? 0 : LONG_POLL_MS,
    call,
  })
  return { receivedMessages: deliveries.map((delivery) => toReceivedMessage(subscription, delivery)) }
}

/** The first deliveries that come, or none after `waitMs`. */
function takeOnce(
  store: Store,
  { backlog, waiting }: Subscription,
  { messages, waitMs, call }: { messages: number; waitMs: number; call: UnaryCall },
): Promise<Delivery[]> {
  return new Promise((resolve, reject) => {
    let taken = false
    let stopWaiting: (() => void) | undefined
    const leave = () => {
      taken = true
      stopWaiting?.()
      waiting.delete(fail)
      backlog.detach(consumer)
    }
    const finish = (deliveries: Delivery[]) => {
      leave()
      resolve(deliveries)
    }
    const fail = (reason: Error) => {
      if (taken) return
      leave()
      reject(reason)
    }
    const consumer: Consumer = {
      room: () => ({ messages: taken ? 0 : messages, bytes: PULL_BYTES_MAX }),
      deliver: finish,
    }
    backlog.serve(consumer)
    if (taken) return
    if (waitMs === 0) {
      resolve([])
      return
    }
    waiting.add(fail)
    stopWaiting = store.clock.after(waitMs, () => finish([]))
    // A client that has gone must not take messages with it.
    call.onEnd(() => fail(new StatusError(status.CANCELLED, "The client has gone.")))
    backlog.attach(consumer)
  })
}
