import type { PubSub } from "@google-cloud/pubsub"
import { type Asker, askerFields, nobody } from "../asker.ts"

// A person waits for the answer: say soon that nobody answers. The client alone would try for ten minutes.
const PUBLISH_TOTAL_MS = 15_000
const PUBLISH_TRY_MS = 5_000

/** Publishes one request and returns its message id, by which everything that comes of it is found. */
export async function publishRequest(
  pubsub: PubSub,
  topic: string,
  data: string,
  asker: Asker = nobody,
): Promise<string> {
  const publisher = pubsub.topic(topic, {
    batching: { maxMessages: 1 },
    gaxOpts: {
      retry: {
        backoffSettings: {
          initialRetryDelayMillis: 200,
          retryDelayMultiplier: 2,
          maxRetryDelayMillis: 2_000,
          initialRpcTimeoutMillis: PUBLISH_TRY_MS,
          rpcTimeoutMultiplier: 1,
          maxRpcTimeoutMillis: PUBLISH_TRY_MS,
          totalTimeoutMillis: PUBLISH_TOTAL_MS,
        },
      },
    },
  })
  return publisher.publishMessage({ data: Buffer.from(data), attributes: askerFields(asker) })
}
