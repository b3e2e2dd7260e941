import type { PubSub } from "@google-cloud/pubsub"
import { runSubscription } from "./topics.ts"

const NOT_FOUND = 5

/** Deletes the subscription of a run that is complete. Done again, it changes nothing. */
export async function deleteRunSubscription(pubsub: PubSub, runId: string): Promise<void> {
  try {
    await pubsub.subscription(runSubscription(runId)).delete()
  } catch (error) {
    if ((error as { code?: unknown }).code !== NOT_FOUND) throw error
  }
}
