import { createRequire } from "node:module"
import type { Message, Subscription } from "@google-cloud/pubsub"
import * as grpc from "@grpc/grpc-js"
import { fromJSON } from "@grpc/proto-loader"
import { afterEach, describe, expect, it } from "vitest"
import { failBefore } from "../../../services/emulators/faults.ts"
import { until, useLocalPubSub } from "./local-pubsub.ts"

const local = useLocalPubSub()

const opened: Subscription[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((subscription) => subscription.close()))
})

/** Opens the official client's subscription and collects what it emits. */
function listen(
  name: string,
  onMessage: (message: Message) => void = (message) => message.ack(),
  options: Parameters<ReturnType<typeof local>["pubsub"]["subscription"]>[1] = {},
): { messages: Message[]; errors: Error[]; texts: () => string[] } {
  const subscription = local().pubsub.subscription(name, { streamingOptions: { maxStreams: 1 }, ...options })
  opened.push(subscription)
  const messages: Message[] = []
  const errors: Error[] = []
  subscription.on("message", (message: Message) => {
    messages.push(message)
    onMessage(message)
  })
  subscription.on("error", (error: Error) => errors.push(error))
  return { messages, errors, texts: () => messages.map(({ data }) => String(data)) }
}

const EMPTY = { undelivered: 0, outstanding: 0 }

describe("the official subscriber", () => {
  it("receives what comes and acknowledges it", async () => {
    const { topic, subscription } = await local().createPair()
    const { texts } = listen(subscription)
    await local().publish(topic, ["one", "two"])
    await local().publish(topic, ["three"])
    await until(() => expect(texts()).toEqual(["one", "two", "three"]))
    await until(() => expect(local().server.backlog(subscription)).toEqual(EMPTY))
  })

  it("never sees a message before its publisher has the id", async () => {
    const { topic, subscription } = await local().createPair()
    const known = new Set<string>()
    const early: string[] = []
    const { messages } = listen(
      subscription,
      (message) => {
        if (!known.has(message.id)) early.push(message.id)
        message.ack()
      },
      { streamingOptions: { maxStreams: 5 } },
    )
    const publisher = local().pubsub.topic(topic, { batching: { maxMessages: 1 } })
    const publishAll = Array.from({ length: 10 }, async () => {
      for (let count = 0; count < 20; count++) known.add(await publisher.publishMessage({ data: Buffer.from("x") }))
    })
    await Promise.all(publishAll)
    await until(() => expect(messages).toHaveLength(200))
    expect(early).toEqual([])
  })

  it("is given no more than its flow control allows", async () => {
    const { topic, subscription } = await local().createPair()
    const { messages } = listen(subscription, () => undefined, { flowControl: { maxMessages: 3 } })
    await local().publish(topic, ["a", "b", "c", "d", "e"])
    await until(() => expect(messages).toHaveLength(3))
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 2, outstanding: 3 })
    messages[0]?.ack()
    messages[1]?.nack()
    await until(() => expect(messages).toHaveLength(5))
    expect(local().server.backlog(subscription).outstanding).toBeLessThanOrEqual(3)
  })

  it("shares the load with the others of its subscription", async () => {
    const { topic, subscription } = await local().createPair()
    const both = [listen(subscription), listen(subscription)]
    await local().publish(
      topic,
      Array.from({ length: 100 }, (_, index) => `${index}`),
    )
    const counts = () => both.map(({ messages }) => messages.length)
    await until(() => expect(counts().reduce((a, b) => a + b)).toBe(100))
    // The second client may connect after the first has taken all: then send more until both have some.
    await until(async () => {
      await local().publish(topic, ["more", "more"])
      expect(Math.min(...counts())).toBeGreaterThan(0)
    })
    await until(() => expect(local().server.backlog(subscription)).toEqual(EMPTY))
  })

  it("gets a key's messages in order, though the first attempt at each fails", async () => {
    const { topic, subscription } = await local().createPair({ enableMessageOrdering: true })
    const failed = new Set<string>()
    const done: string[] = []
    listen(
      subscription,
      (message) => {
        if (failed.has(message.id)) {
          done.push(`${message.orderingKey}${String(message.data)}`)
          message.ack()
        } else {
          failed.add(message.id)
          message.nack()
        }
      },
      { streamingOptions: { maxStreams: 3 }, batching: { maxMilliseconds: 1 } },
    )
    await local().publish(topic, ["1", "2", "3", "4"], { orderingKey: "a" })
    await local().publish(topic, ["1", "2", "3", "4"], { orderingKey: "b" })
    await until(() => expect(done).toHaveLength(8))
    for (const key of ["a", "b"]) {
      expect(done.filter((each) => each.startsWith(key))).toEqual([1, 2, 3, 4].map((each) => `${key}${each}`))
    }
  })

  it("is told the delivery attempt when there is a dead-letter policy", async () => {
    const dead = await local().createPair()
    const { topic, subscription } = await local().createPair({
      deadLetterPolicy: { deadLetterTopic: dead.topic, maxDeliveryAttempts: 5 },
    })
    const { messages } = listen(subscription, (message) => message.nack(), { batching: { maxMilliseconds: 1 } })
    await local().publish(topic, ["poison"])
    expect(await local().pull(dead.subscription)).toMatchObject([{ text: "poison" }])
    expect(messages.map(({ deliveryAttempt }) => deliveryAttempt)).toEqual([1, 2, 3, 4, 5])
  })

  it("goes on when its stream breaks, and what was lost on the way comes back after its deadline", async () => {
    const { topic, subscription } = await local().createPair()
    const remove = local().server.faults.add(
      failBefore({ method: "StreamingPull", resource: subscription }, "UNAVAILABLE"),
    )
    const { texts } = listen(subscription)
    await local().publish(topic, ["lost once"])
    await until(() => expect(local().server.backlog(subscription)).toEqual({ undelivered: 0, outstanding: 1 }))
    local().clock.advance(600_000)
    await until(() => expect(texts()).toEqual(["lost once"]))
    remove()
  })

  it("learns that its subscription has been deleted", async () => {
    const { subscription } = await local().createPair()
    const { errors } = listen(subscription)
    const { topic: other, subscription: sibling } = await local().createPair()
    const probe = listen(sibling)
    await local().publish(other, ["connected"])
    await until(() => expect(probe.messages).toHaveLength(1))
    await local().subscriber.deleteSubscription({ subscription })
    await until(() => expect(errors).toMatchObject([{ code: 5 }]))
  })
})

describe("the stream itself", () => {
  interface Response {
    receivedMessages: { ackId: string; message: { data: Buffer } }[]
    subscriptionProperties: { messageOrderingEnabled: boolean } | null
  }
  type RawStream = grpc.ClientDuplexStream<object, Response>

  /** A stream without Google's client around it. */
  async function withStream(use: (stream: RawStream, responses: Response[]) => Promise<void>): Promise<void> {
    const descriptors = createRequire(import.meta.url)("@google-cloud/pubsub-api/build/protos/protos.json")
    const definition = fromJSON(descriptors, { longs: String, defaults: true })["google.pubsub.v1.Subscriber"]
    const Client = grpc.makeGenericClientConstructor(definition as grpc.ServiceDefinition, "Subscriber")
    const client = new Client(`127.0.0.1:${local().server.port}`, grpc.credentials.createInsecure())
    const open = client.StreamingPull as unknown as () => RawStream
    const stream = open.call(client)
    const responses: Response[] = []
    stream.on("data", (response: Response) => responses.push(response))
    stream.on("error", () => undefined)
    try {
      await use(stream, responses)
    } finally {
      stream.cancel()
      client.close()
    }
  }

  function statusOf(stream: RawStream): Promise<grpc.StatusObject> {
    return new Promise((resolve) => {
      stream.on("status", resolve)
    })
  }

  it("answers each request of a client that wants to be kept alive, and says what kind of subscription it is", async () => {
    const { subscription } = await local().createPair({ enableMessageOrdering: true })
    await withStream(async (stream, responses) => {
      stream.write({ subscription, streamAckDeadlineSeconds: 10, protocolVersion: 1 })
      await until(() => expect(responses).toHaveLength(1))
      stream.write({})
      await until(() => expect(responses).toHaveLength(2))
      expect(responses[1]).toMatchObject({
        receivedMessages: [],
        subscriptionProperties: { messageOrderingEnabled: true },
      })
    })
  })

  it("takes acknowledgements and deadlines, limits outstanding bytes, and ends when the client does", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["12345", "67890", "abcde"])
    await withStream(async (stream, responses) => {
      stream.write({ subscription, streamAckDeadlineSeconds: 10, maxOutstandingBytes: 6 })
      const received = () => responses.flatMap(({ receivedMessages }) => receivedMessages)
      // The second begins within the limit and exceeds it; the third must wait.
      await until(() => expect(received()).toHaveLength(2))
      const [first, second] = received()
      stream.write({ modifyDeadlineAckIds: [second?.ackId], modifyDeadlineSeconds: [600] })
      stream.write({ ackIds: [first?.ackId] })
      await until(() => expect(received()).toHaveLength(3))
      local().clock.advance(10_000)
      await until(() =>
        expect(received().map(({ message }) => String(message.data))).toEqual(["12345", "67890", "abcde", "abcde"]),
      )
      const status = statusOf(stream)
      stream.end()
      expect(await status).toMatchObject({ code: grpc.status.OK })
      expect(local().server.backlog(subscription)).toEqual({ undelivered: 0, outstanding: 2 })
    })
  })

  it("refuses a first request without deadline, and a second one that names a subscription", async () => {
    const { subscription } = await local().createPair()
    await withStream(async (stream) => {
      const status = statusOf(stream)
      stream.write({ subscription })
      expect(await status).toMatchObject({ code: grpc.status.INVALID_ARGUMENT })
    })
    await withStream(async (stream) => {
      const status = statusOf(stream)
      stream.write({ subscription, streamAckDeadlineSeconds: 10 })
      stream.write({ subscription })
      expect(await status).toMatchObject({ code: grpc.status.INVALID_ARGUMENT })
    })
  })
})
