import type { PubSub } from "@google-cloud/pubsub"
import { hasStatus } from "../google/grpc-status.ts"
import { type RetryOptions, retryTransient } from "../retry.ts"
import { topics } from "./topics.ts"

// gRPC status codes.

// A subscription is unused between the end of a dispatch and a rerun: a month, and the finalizer deletes it with the
// complete verdict anyway.
const SUBSCRIPTION_EXPIRES_SECONDS = 31 * 24 * 3600

// An item is acknowledged when its claim is decided, within one statement; Pub/Sub's least is 10 s.
const ACK_DEADLINE_SECONDS = 10

/** The pull subscription that belongs to one run. */
export function runSubscription(runId: string): string {
  return `run-${runId}`
}

/** Creates the subscription through which the tasks of a run pull its work items, if there is none yet. */
export async function createRunSubscription(pubsub: PubSub, runId: string, options: RetryOptions): Promise<void> {
  await retryTransient(
    `create the subscription of run ${runId}`,
    async () => {
      try {
        await pubsub.topic(topics.workItems).createSubscription(runSubscription(runId), {
          filter: `attributes.runId = "${runId}"`,
          ackDeadlineSeconds: ACK_DEADLINE_SECONDS,
          expirationPolicy: { ttl: { seconds: SUBSCRIPTION_EXPIRES_SECONDS } },
          labels: { app: "daybook", daybook: "run" },
        })
      } catch (error) {
        if (!hasStatus(error, "alreadyExists")) throw error
      }
    },
    options,
  )
}

/** Deletes the subscription of a run that is complete. Done again, it changes nothing. */
export async function deleteRunSubscription(pubsub: PubSub, runId: string): Promise<void> {
  try {
    await pubsub.subscription(runSubscription(runId)).delete()
  } catch (error) {
    if (!hasStatus(error, "notFound")) throw error
  }
}
