import { type ClientConfig, PubSub, v1 } from "@google-cloud/pubsub"
import { afterAll, beforeAll, vi } from "vitest"
import { ManualClock } from "../../../services/emulators/clock.ts"
import { type PubSubOptions, type PubSubServer, startPubSub } from "../../../services/emulators/pubsub/server.ts"

export const PROJECT = "projects/shop"

// Google's clients look for the metadata server of a virtual machine even when they need no credentials.
process.env.METADATA_SERVER_DETECTION = "none"

/** Waits until a check no longer throws: soon on an idle machine, and long enough on a busy one. */
export function until(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { interval: 5, timeout: 20_000 })
}

/** One local Pub/Sub for a test file, with a clock that only tests move, and Google's clients connected to it. */
export class LocalPubSub {
  readonly clock = new ManualClock()
  readonly #server: PubSubServer
  readonly pubsub: PubSub
  readonly subscriber: InstanceType<typeof v1.SubscriberClient>
  readonly publisher: InstanceType<typeof v1.PublisherClient>
  #names = 0

  constructor(server: PubSubServer, clock: ManualClock) {
    this.#server = server
    this.clock = clock
    const config: ClientConfig = { projectId: "shop", apiEndpoint: `127.0.0.1:${server.port}`, emulatorMode: true }
    this.pubsub = new PubSub(config)
    // The full client has worked out host, port and credentials; only its type is looser than the others ask for.
    const options = this.pubsub.options as NonNullable<ConstructorParameters<typeof v1.SubscriberClient>[0]>
    this.subscriber = new v1.SubscriberClient(options)
    this.publisher = new v1.PublisherClient(options)
  }

  get server(): PubSubServer {
    return this.#server
  }

  /** A new topic with one subscription, by their full names. */
  async createPair(settings: Parameters<typeof this.subscriber.createSubscription>[0] = {}): Promise<{
    topic: string
    subscription: string
  }> {
    const topic = await this.createTopic()
    const subscription = `${PROJECT}/subscriptions/sub-${this.#names}`
    await this.subscriber.createSubscription({ name: subscription, topic, ...settings })
    return { topic, subscription }
  }

  async createTopic(): Promise<string> {
    const name = `${PROJECT}/topics/topic-${++this.#names}`
    await this.publisher.createTopic({ name })
    return name
  }

  /** Publishes texts as they come, and gives their ids. */
  async publish(
    topic: string,
    texts: string[],
    extra: { orderingKey?: string; attributes?: Record<string, string> } = {},
  ): Promise<string[]> {
    const messages = texts.map((text) => ({ data: Buffer.from(text), ...extra }))
    const [{ messageIds }] = await this.publisher.publish({ topic, messages })
    return messageIds ?? []
  }

  /** What one unary pull returns, as it finds the subscription. */
  async pull(subscription: string, maxMessages = 10, returnImmediately = false) {
    const [{ receivedMessages }] = await this.subscriber.pull({ subscription, maxMessages, returnImmediately })
    return (receivedMessages ?? []).map(({ ackId, message, deliveryAttempt }) => ({
      ackId: ackId ?? "",
      text: Buffer.from(message?.data ?? "").toString(),
      messageId: message?.messageId ?? "",
      attributes: message?.attributes ?? {},
      deliveryAttempt,
    }))
  }

  /** Pulls until it has `count` messages: one pull may return fewer than there are, as with Google. */
  async pullAll(subscription: string, count: number) {
    const received: Awaited<ReturnType<typeof this.pull>> = []
    while (received.length < count) received.push(...(await this.pull(subscription, count - received.length)))
    return received
  }

  async nack(subscription: string, ackIds: string[]): Promise<void> {
    await this.subscriber.modifyAckDeadline({ subscription, ackIds, ackDeadlineSeconds: 0 })
  }

  async stop(): Promise<void> {
    await this.pubsub.close()
    await this.subscriber.close()
    await this.publisher.close()
    await this.#server.stop()
  }
}

export async function startLocalPubSub(options: PubSubOptions = {}): Promise<LocalPubSub> {
  const clock = new ManualClock()
  return new LocalPubSub(await startPubSub({ clock, ...options }), clock)
}

/** Starts one before the tests of the file and stops it after them. */
export function useLocalPubSub(options: PubSubOptions = {}): () => LocalPubSub {
  let local: LocalPubSub | undefined
  beforeAll(async () => {
    local = await startLocalPubSub(options)
  })
  afterAll(() => local?.stop())
  return () => {
    if (!local) throw new Error("the local Pub/Sub has not started")
    return local
  }
}
