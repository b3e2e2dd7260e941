import { setImmediate as turn } from "node:timers/promises"
import { describe, expect, it } from "vitest"
import { failAfter } from "../../../services/emulators/faults.ts"
import { PROJECT, until, useLocalPubSub } from "./local-pubsub.ts"

const local = useLocalPubSub()

describe("publish and pull", () => {
  it("delivers data, attributes, key and the clock's time to each subscription of the topic", async () => {
    const { topic, subscription } = await local().createPair()
    const second = `${subscription}-second`
    await local().subscriber.createSubscription({ name: second, topic })
    const [id] = await local().publish(topic, ["hello"], { orderingKey: "k", attributes: { a: "1" } })
    for (const name of [subscription, second]) {
      const [{ receivedMessages }] = await local().subscriber.pull({ subscription: name, maxMessages: 10 })
      const message = receivedMessages?.[0]?.message
      expect(receivedMessages).toHaveLength(1)
      expect(message).toMatchObject({ messageId: id, orderingKey: "k", attributes: { a: "1" } })
      expect(String(message?.data)).toBe("hello")
      expect(Number(message?.publishTime?.seconds) * 1000).toBe(local().clock.now())
    }
    expect(local().server.messages(topic)).toMatchObject([{ messageId: id, attributes: { a: "1" } }])
  })

  it("numbers messages upwards across topics", async () => {
    const topics = [await local().createTopic(), await local().createTopic()]
    const ids: bigint[] = []
    for (const topic of [...topics, ...topics]) ids.push(...(await local().publish(topic, ["a", "b"])).map(BigInt))
    expect(ids).toEqual(ids.toSorted((a, b) => Number(a - b)))
    expect(new Set(ids).size).toBe(8)
  })

  it("a pull waits for a message", async () => {
    const { topic, subscription } = await local().createPair()
    const pulled = local().pull(subscription)
    await local().publish(topic, ["late"])
    expect(await pulled).toMatchObject([{ text: "late" }])
  })

  it("a pull that asks to return at once comes back empty", async () => {
    const { subscription } = await local().createPair()
    expect(await local().pull(subscription, 1, true)).toEqual([])
  })

  it("a pull that finds nothing comes back empty in the end", async () => {
    const { subscription } = await local().createPair()
    const pulled = local().pull(subscription)
    let done = false
    void pulled.then(() => (done = true))
    await until(async () => {
      await turn()
      local().clock.advance(10_000)
      expect(done).toBe(true)
    })
    expect(await pulled).toEqual([])
  })

  it("a pull whose client has gone takes no message with it", async () => {
    const { topic, subscription } = await local().createPair()
    const gone = local().subscriber.pull({ subscription, maxMessages: 1 }, { timeout: 50, retry: { retryCodes: [] } })
    await expect(gone).rejects.toMatchObject({ code: 4 })
    await local().publish(topic, ["still here"])
    expect(await local().pull(subscription)).toMatchObject([{ text: "still here" }])
  })

  it("a pull gets as many as it asks for", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["a", "b", "c"])
    expect(await local().pull(subscription, 2)).toHaveLength(2)
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 1, outstanding: 2 })
    await expect(local().pull(subscription, 0)).rejects.toMatchObject({ code: 3 })
  })

  it("messages published before a subscription existed are not its own", async () => {
    const topic = await local().createTopic()
    await local().publish(topic, ["early"])
    const name = `${PROJECT}/subscriptions/too-late`
    await local().subscriber.createSubscription({ name, topic })
    expect(local().server.backlog(name)).toEqual({ undelivered: 0, outstanding: 0 })
  })

  it("a publish whose answer was lost is published all the same, and again by the client's retry", async () => {
    const { topic, subscription } = await local().createPair()
    const remove = local().server.faults.add(failAfter({ method: "Publish", resource: topic }, "UNAVAILABLE"))
    const [id] = await local().publish(topic, ["lost answer"])
    remove()
    const first = { text: "lost answer", messageId: String(Number(id) - 1) }
    expect(await local().pullAll(subscription, 2)).toMatchObject([first, { text: "lost answer", messageId: id }])
  })

  it("ten thousand messages come and go in a moment", async () => {
    const { topic, subscription } = await local().createPair()
    const texts = Array.from({ length: 1000 }, (_, index) => `${index}`)
    for (let batch = 0; batch < 10; batch++) await local().publish(topic, texts)
    let seen = 0
    while (seen < 10_000) {
      const received = await local().pull(subscription, 1000)
      seen += received.length
      await local().subscriber.acknowledge({ subscription, ackIds: received.map(({ ackId }) => ackId) })
    }
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 0, outstanding: 0 })
  })
})

describe("publish refuses", () => {
  it.each([
    ["a message without data and attributes", [{}]],
    ["more than 1,000 messages", Array.from({ length: 1001 }, () => ({ data: Buffer.from("x") }))],
    ["more than 10 MB", [{ data: Buffer.alloc(10_000_001) }]],
    [
      "more than 100 attributes",
      [{ attributes: Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`k${index}`, ""])) }],
    ],
    ["a reserved attribute", [{ attributes: { google: "x" } }]],
    ["no message at all", []],
  ])("%s", async (_, messages) => {
    const { topic, subscription } = await local().createPair()
    await expect(local().publisher.publish({ topic, messages })).rejects.toMatchObject({ code: 3 })
    expect(local().server.messages(topic)).toEqual([])
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 0, outstanding: 0 })
  })

  it("takes ten megabytes in one message", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publisher.publish({ topic, messages: [{ data: Buffer.alloc(9_999_999, "x") }] })
    expect((await local().pull(subscription))[0]?.text).toHaveLength(9_999_999)
  })

  it("a topic that does not exist", async () => {
    await expect(local().publish(`${PROJECT}/topics/nowhere`, ["x"])).rejects.toMatchObject({
      code: 5,
      details: "Resource not found (resource=nowhere).",
    })
  })
})

describe("acknowledgement", () => {
  it("ends a message for good", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["once"])
    const ackIds = (await local().pull(subscription)).map(({ ackId }) => ackId)
    await local().subscriber.acknowledge({ subscription, ackIds })
    local().clock.advance(3_600_000)
    expect(await local().pull(subscription, 1, true)).toEqual([])
  })

  it("a deadline that passes brings the message back under another ack id, and the old one is void", async () => {
    const { topic, subscription } = await local().createPair({ ackDeadlineSeconds: 20 })
    await local().publish(topic, ["again"])
    const [first] = await local().pull(subscription)
    local().clock.advance(19_999)
    expect(await local().pull(subscription, 1, true)).toEqual([])
    local().clock.advance(1)
    const [second] = await local().pull(subscription)
    expect(second).toMatchObject({ text: "again", messageId: first?.messageId })
    expect(second?.ackId).not.toBe(first?.ackId)
    await local().subscriber.acknowledge({ subscription, ackIds: [first?.ackId ?? ""] })
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 0, outstanding: 1 })
  })

  it("a deadline can be moved, and 0 gives the message back at once", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["moved"])
    const [first] = await local().pull(subscription)
    const ackIds = [first?.ackId ?? ""]
    await local().subscriber.modifyAckDeadline({ subscription, ackIds, ackDeadlineSeconds: 60 })
    local().clock.advance(59_000)
    expect(await local().pull(subscription, 1, true)).toEqual([])
    await local().nack(subscription, ackIds)
    expect(await local().pull(subscription, 1, true)).toMatchObject([{ text: "moved" }])
  })

  it("refuses ids it cannot have given, and deadlines beyond ten minutes", async () => {
    const { subscription } = await local().createPair()
    const refused = { code: 3 }
    const ackIds = ["nonsense"]
    await expect(local().subscriber.acknowledge({ subscription, ackIds })).rejects.toMatchObject(refused)
    await expect(local().subscriber.acknowledge({ subscription, ackIds: [] })).rejects.toMatchObject(refused)
    await expect(
      local().subscriber.modifyAckDeadline({ subscription, ackIds: ["1-1"], ackDeadlineSeconds: 601 }),
    ).rejects.toMatchObject(refused)
  })
})

describe("retry policy", () => {
  it("doubles the delay from the minimum to the maximum", async () => {
    const { topic, subscription } = await local().createPair({
      retryPolicy: { minimumBackoff: { seconds: 10 }, maximumBackoff: { seconds: 30 } },
    })
    await local().publish(topic, ["patience"])
    for (const delayS of [10, 20, 30, 30]) {
      const [received] = await local().pull(subscription, 1)
      await local().nack(subscription, [received?.ackId ?? ""])
      local().clock.advance(delayS * 1000 - 1)
      expect(await local().pull(subscription, 1, true)).toEqual([])
      local().clock.advance(1)
    }
    expect(await local().pull(subscription, 1)).toHaveLength(1)
  })
})

describe("dead letters", () => {
  it("a message that fails as often as allowed goes to the dead-letter topic and says where it came from", async () => {
    const dead = await local().createPair()
    const { topic, subscription } = await local().createPair({
      deadLetterPolicy: { deadLetterTopic: dead.topic, maxDeliveryAttempts: 5 },
    })
    await local().publish(topic, ["poison"], { attributes: { kept: "yes" } })
    for (let attempt = 1; attempt <= 5; attempt++) {
      const [received] = await local().pull(subscription, 1)
      expect(received).toMatchObject({ text: "poison", deliveryAttempt: attempt })
      // Nacks and missed deadlines count alike.
      if (attempt % 2) await local().nack(subscription, [received?.ackId ?? ""])
      else local().clock.advance(10_000)
    }
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 0, outstanding: 0 })
    const [letter] = await local().pull(dead.subscription)
    expect(letter).toMatchObject({
      text: "poison",
      attributes: {
        kept: "yes",
        CloudPubSubDeadLetterSourceDeliveryCount: "5",
        CloudPubSubDeadLetterSourceSubscription: subscription.split("/").at(-1),
        CloudPubSubDeadLetterSourceSubscriptionProject: "shop",
        CloudPubSubDeadLetterSourceTopicPublishTime: expect.stringMatching(/^2026-01-01T.*\+00:00$/),
      },
    })
  })

  it("a message stays as long as its dead-letter topic is gone", async () => {
    const grave = await local().createTopic()
    const { topic, subscription } = await local().createPair({ deadLetterPolicy: { deadLetterTopic: grave } })
    await local().publisher.deleteTopic({ topic: grave })
    await local().publish(topic, ["undying"])
    for (let attempt = 1; attempt <= 7; attempt++) {
      const [received] = await local().pull(subscription, 1)
      expect(received).toMatchObject({ deliveryAttempt: attempt })
      await local().nack(subscription, [received?.ackId ?? ""])
    }
  })

  it("without a policy deliveries are not counted", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["plain"])
    expect(await local().pull(subscription)).toMatchObject([{ deliveryAttempt: 0 }])
  })
})

describe("ordering", () => {
  it("a pull has a key's messages in their order, and the next pull those after only when it is done with them", async () => {
    const { topic, subscription } = await local().createPair({ enableMessageOrdering: true })
    await local().publish(topic, ["a1", "a2", "a3"], { orderingKey: "a" })
    await local().publish(topic, ["b1"], { orderingKey: "b" })
    const first = await local().pullAll(subscription, 2)
    expect(first.map(({ text }) => text)).toEqual(["a1", "a2"])
    const others = await local().pullAll(subscription, 1)
    expect(others.map(({ text }) => text)).toEqual(["b1"])
    expect(await local().pull(subscription, 10, true)).toEqual([])
    // The first is refused: it and those after it come again, in their order.
    await local().nack(subscription, [first[0]?.ackId ?? ""])
    const again = await local().pull(subscription, 10, true)
    expect(again.map(({ text }) => text)).toEqual(["a1", "a2", "a3"])
    // What was held of the refused stretch counts no more.
    await local().subscriber.acknowledge({ subscription, ackIds: [first[1]?.ackId ?? ""] })
    await local().subscriber.acknowledge({ subscription, ackIds: again.slice(0, 1).map(({ ackId }) => ackId) })
    expect(await local().pull(subscription, 10, true)).toEqual([])
    await local().nack(subscription, [again[1]?.ackId ?? ""])
    expect((await local().pull(subscription, 10, true)).map(({ text }) => text)).toEqual(["a2", "a3"])
  })

  it("without ordering a key holds nothing back", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["a1", "a2"], { orderingKey: "a" })
    expect(await local().pull(subscription)).toHaveLength(2)
  })
})
