import type { protos } from "@google-cloud/pubsub"
import type { PublishedMessage } from "./messages.ts"
import { millisecondsOf } from "./time.ts"

/** Of messages in their order those that a retention still keeps. */
export function keepYounger(
  messages: PublishedMessage[],
  now: number,
  retention: protos.google.protobuf.IDuration,
): PublishedMessage[] {
  const oldest = now - millisecondsOf(retention)
  const first = messages.findIndex(({ publishedAt }) => publishedAt >= oldest)
  return first < 0 ? [] : first === 0 ? messages : messages.slice(first)
}
