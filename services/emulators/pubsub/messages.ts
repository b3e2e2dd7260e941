import type { protos } from "@google-cloud/pubsub"
import { timestampOf } from "./time.ts"

/** A message as a topic has accepted it. Subscriptions share it and never change it. */
export interface PublishedMessage {
  /** A decimal number that grows with every message of the server. */
  messageId: string
  data: Buffer
  attributes: Readonly<Record<string, string>>
  /** Empty without ordering. */
  orderingKey: string
  /** Milliseconds since the epoch, by the server's clock. */
  publishedAt: number
  /** What counts against limits and flow control. */
  bytes: number
}

export function toPubsubMessage(message: PublishedMessage): protos.google.pubsub.v1.IPubsubMessage {
  return {
    data: message.data,
    attributes: message.attributes,
    messageId: message.messageId,
    publishTime: timestampOf(message.publishedAt),
    orderingKey: message.orderingKey,
  }
}

/** Bytes of a message as its limits count them: data, attributes and ordering key. */
export function countBytes(data: Uint8Array, attributes: Record<string, string>, orderingKey: string): number {
  let bytes = data.byteLength + Buffer.byteLength(orderingKey)
  for (const [key, value] of Object.entries(attributes)) bytes += Buffer.byteLength(key) + Buffer.byteLength(value)
  return bytes
}

/** What a message is before the server has stamped it. */
export type NewMessage = Pick<PublishedMessage, "data" | "attributes" | "orderingKey">
