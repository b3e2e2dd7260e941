import { v1 } from "@google-cloud/pubsub"
import { describe, expect, it } from "vitest"
import { PROJECT, startLocalPubSub, useLocalPubSub } from "./local-pubsub.ts"

const local = useLocalPubSub()

describe("topics", () => {
  it("are made once, found, listed by project, and deleted", async () => {
    const name = `projects/listing/topics/one`
    await local().publisher.createTopic({ name, labels: { a: "b" } })
    await expect(local().publisher.createTopic({ name })).rejects.toMatchObject({
      code: 6,
      details: "Resource already exists in the project (resource=one).",
    })
    await local().publisher.createTopic({ name: "projects/listing/topics/two" })
    expect((await local().publisher.getTopic({ topic: name }))[0]).toMatchObject({ name, labels: { a: "b" } })
    const onePage = { autoPaginate: false }
    const [first, next] = await local().publisher.listTopics({ project: "projects/listing", pageSize: 1 }, onePage)
    expect(first.map((topic) => topic.name)).toEqual([name])
    const [second, end] = await local().publisher.listTopics(next ?? {}, onePage)
    expect(second.map((topic) => topic.name)).toEqual(["projects/listing/topics/two"])
    expect(end).toBeNull()
    await local().publisher.deleteTopic({ topic: name })
    await expect(local().publisher.getTopic({ topic: name })).rejects.toMatchObject({ code: 5 })
  })

  it("that are deleted leave their subscriptions behind, with what they have", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["left"])
    await local().publisher.deleteTopic({ topic })
    const [found] = await local().subscriber.getSubscription({ subscription })
    expect(found.topic).toBe("_deleted-topic_")
    expect(await local().pull(subscription)).toMatchObject([{ text: "left" }])
    await local().publisher.createTopic({ name: topic })
    expect((await local().publisher.listTopicSubscriptions({ topic }))[0]).toEqual([])
  })

  it.each([["ab"], ["1st"], ["goog-topic"], ["with space"], ["x".repeat(256)]])("cannot be called %s", async (id) => {
    const name = `${PROJECT}/topics/${id}`
    await expect(local().publisher.createTopic({ name })).rejects.toMatchObject({
      code: 3,
      details: expect.stringContaining(`Invalid resource name given (name=${name}).`),
    })
  })

  it("do not pretend to what is not done", async () => {
    const name = `${PROJECT}/topics/ambitious`
    await expect(local().publisher.createTopic({ name, kmsKeyName: "k" })).rejects.toMatchObject({ code: 12 })
    const bigqueryConfig = { table: "shop.dataset.table" }
    await expect(local().createPair({ bigqueryConfig })).rejects.toMatchObject({ code: 12 })
  })
})

describe("subscriptions", () => {
  it("have Google's defaults", async () => {
    const { topic, subscription } = await local().createPair({ retryPolicy: {}, labels: { a: "b" } })
    const [found] = await local().subscriber.getSubscription({ subscription })
    expect(found).toMatchObject({
      name: subscription,
      topic,
      ackDeadlineSeconds: 10,
      labels: { a: "b" },
      state: "ACTIVE",
      messageRetentionDuration: { seconds: "604800" },
      expirationPolicy: { ttl: { seconds: "2678400" } },
      retryPolicy: { minimumBackoff: { seconds: "10" }, maximumBackoff: { seconds: "600" } },
    })
    expect(local().server.subscriptions()).toContainEqual(expect.objectContaining({ name: subscription }))
  })

  it("belong to a topic, by name and in lists", async () => {
    const { topic, subscription } = await local().createPair()
    expect((await local().publisher.listTopicSubscriptions({ topic }))[0]).toEqual([subscription])
    const [listed] = await local().subscriber.listSubscriptions({ project: PROJECT })
    expect(listed.map(({ name }) => name)).toContain(subscription)
    const missing = { name: `${PROJECT}/subscriptions/orphan`, topic: `${PROJECT}/topics/nowhere` }
    await expect(local().subscriber.createSubscription(missing)).rejects.toMatchObject({ code: 5 })
    await expect(local().subscriber.createSubscription({ name: subscription, topic })).rejects.toMatchObject({
      code: 6,
    })
  })

  it("change what the mask names and nothing else", async () => {
    const { topic, subscription } = await local().createPair({ labels: { old: "1" } })
    const [updated] = await local().subscriber.updateSubscription({
      subscription: { name: subscription, ackDeadlineSeconds: 30, labels: { new: "2" } },
      updateMask: { paths: ["ack_deadline_seconds"] },
    })
    expect(updated).toMatchObject({ ackDeadlineSeconds: 30, labels: { old: "1" } })
    await local().publish(topic, ["slow"])
    await local().pull(subscription)
    local().clock.advance(29_999)
    expect(local().server.backlog(subscription).outstanding).toBe(1)
    local().clock.advance(1)
    expect(local().server.backlog(subscription).outstanding).toBe(0)
  })

  it.each([
    ["an ack deadline under ten seconds", { ackDeadlineSeconds: 9 }],
    ["an ack deadline over ten minutes", { ackDeadlineSeconds: 601 }],
    ["a retention of a minute", { messageRetentionDuration: { seconds: 60 } }],
    ["an expiration within a day", { expirationPolicy: { ttl: { seconds: 3600 } } }],
    ["a backoff beyond ten minutes", { retryPolicy: { maximumBackoff: { seconds: 601 } } }],
    ["a backoff that shrinks", { retryPolicy: { minimumBackoff: { seconds: 20 }, maximumBackoff: { seconds: 10 } } }],
    ["a push endpoint that is no address", { pushConfig: { pushEndpoint: "somewhere" } }],
  ])("refuse %s", async (_, settings) => {
    await expect(local().createPair(settings)).rejects.toMatchObject({ code: 3 })
  })

  it("refuse a dead-letter policy of too few attempts or without its topic", async () => {
    const deadLetterTopic = await local().createTopic()
    const few = { deadLetterPolicy: { deadLetterTopic, maxDeliveryAttempts: 4 } }
    await expect(local().createPair(few)).rejects.toMatchObject({ code: 3 })
    const gone = { deadLetterPolicy: { deadLetterTopic: `${PROJECT}/topics/nowhere` } }
    await expect(local().createPair(gone)).rejects.toMatchObject({ code: 5 })
  })

  it("that are deleted end the pull that waits for them", async () => {
    const { topic, subscription } = await local().createPair()
    const refused = local()
      .pull(subscription)
      .catch((error: unknown) => error)
    // Calls of one connection are served in order, so the pull is waiting by the time the second answer is here.
    await local().subscriber.getSubscription({ subscription })
    await local().subscriber.deleteSubscription({ subscription })
    expect(await refused).toMatchObject({ code: 5 })
    expect((await local().publisher.listTopicSubscriptions({ topic }))[0]).toEqual([])
  })
})

it("the official client's own ways of making and deleting work", async () => {
  const [topic] = await local().pubsub.createTopic("friendly")
  const [subscription] = await topic.createSubscription("friendly-sub", { filter: "attributes:a" })
  expect((await subscription.getMetadata())[0]).toMatchObject({ filter: "attributes:a" })
  expect((await topic.getSubscriptions())[0].map(({ name }) => name)).toEqual([`${PROJECT}/subscriptions/friendly-sub`])
  expect((await local().pubsub.topic("unfriendly").exists())[0]).toBe(false)
  await subscription.delete()
  await topic.delete()
})

it("a stopped server lets go of every call and of its port", async () => {
  const stopping = await startLocalPubSub()
  const { subscription } = await stopping.createPair()
  const pulled = stopping.subscriber.pull({ subscription, maxMessages: 1 }, { retry: { retryCodes: [] } })
  const refused = pulled.catch((error: unknown) => error)
  await stopping.subscriber.getSubscription({ subscription })
  const { port } = stopping.server
  await stopping.stop()
  expect(await refused).toBeInstanceOf(Error)
  const late = new v1.PublisherClient({ ...stopping.pubsub.options, port })
  const listed = late.listTopics({ project: PROJECT }, { retry: { retryCodes: [] }, timeout: 500 })
  await expect(listed).rejects.toMatchObject({ code: expect.any(Number) })
  await late.close()
})
