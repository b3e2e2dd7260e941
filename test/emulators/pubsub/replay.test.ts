import { v1 } from "@google-cloud/pubsub"
import { PassThroughClient } from "google-auth-library"
import { describe, expect, it } from "vitest"
import { PROJECT, until, useLocalPubSub } from "./local-pubsub.ts"

const local = useLocalPubSub()
const texts = async (subscription: string) => (await local().pull(subscription, 100, true)).map(({ text }) => text)
const acknowledge = async (subscription: string, count: number) => {
  const received = await local().pullAll(subscription, count)
  await local().subscriber.acknowledge({ subscription, ackIds: received.map(({ ackId }) => ackId) })
  return received.map(({ text }) => text)
}

describe("seek", () => {
  it("to a time brings what is kept of later messages again, and counts earlier ones as acknowledged", async () => {
    const { topic, subscription } = await local().createPair({ retainAckedMessages: true })
    await local().publish(topic, ["early"])
    local().clock.advance(60_000)
    const at = { seconds: Math.floor(local().clock.now() / 1_000) }
    local().clock.advance(1_000)
    await local().publish(topic, ["late", "later"])
    expect(await acknowledge(subscription, 3)).toEqual(["early", "late", "later"])
    await local().subscriber.seek({ subscription, time: at })
    expect(await acknowledge(subscription, 2)).toEqual(["late", "later"])
    await local().publish(topic, ["unwanted"])
    await local().subscriber.seek({ subscription, time: { seconds: at.seconds + 86_400 } })
    expect(await texts(subscription)).toEqual([])
  })

  it("brings nothing acknowledged again where nothing is kept", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["gone"])
    await acknowledge(subscription, 1)
    await local().subscriber.seek({ subscription, time: { seconds: 0 } })
    expect(await texts(subscription)).toEqual([])
  })

  it("finds what the topic keeps, also from before the subscription was there, and not what is too old", async () => {
    const topic = await local().createTopic()
    await local().publisher.updateTopic({
      topic: { name: topic, messageRetentionDuration: { seconds: 3_600 } },
      updateMask: { paths: ["message_retention_duration"] },
    })
    await local().publish(topic, ["too old"])
    local().clock.advance(3_000_000)
    await local().publish(topic, ["before"])
    local().clock.advance(1_000_000)
    await local().publish(topic, ["newest"])
    const subscription = `${PROJECT}/subscriptions/afterwards`
    await local().subscriber.createSubscription({ name: subscription, topic })
    await local().subscriber.seek({ subscription, time: { seconds: 0 } })
    expect(await texts(subscription)).toEqual(["before", "newest"])
  })

  it("makes acknowledgements of older deliveries mean nothing", async () => {
    const { topic, subscription } = await local().createPair({ retainAckedMessages: true })
    await local().publish(topic, ["one"])
    const [first] = await local().pull(subscription)
    await local().subscriber.seek({ subscription, time: { seconds: 0 } })
    await local().subscriber.acknowledge({ subscription, ackIds: [first?.ackId ?? ""] })
    expect(await texts(subscription)).toEqual(["one"])
  })
})

describe("snapshots", () => {
  it("bring back what was not acknowledged when they were made, and all that was published since", async () => {
    const { topic, subscription } = await local().createPair()
    await local().publish(topic, ["done"])
    await acknowledge(subscription, 1)
    await local().publish(topic, ["open"])
    const name = `${PROJECT}/snapshots/before-deploy`
    const [made] = await local().subscriber.createSnapshot({ name, subscription, labels: { a: "b" } })
    expect(made).toMatchObject({ name, topic, labels: { a: "b" } })
    await local().publish(topic, ["since"])
    expect(await acknowledge(subscription, 2)).toEqual(["open", "since"])
    await local().subscriber.seek({ subscription, snapshot: name })
    expect(await acknowledge(subscription, 2)).toEqual(["open", "since"])
    expect((await local().subscriber.listSnapshots({ project: PROJECT }))[0]).toMatchObject([{ name }])
    expect((await local().publisher.listTopicSnapshots({ topic }))[0]).toEqual([name])
    await expect(local().subscriber.createSnapshot({ name, subscription })).rejects.toMatchObject({ code: 6 })
    await local().subscriber.deleteSnapshot({ snapshot: name })
    await expect(local().subscriber.seek({ subscription, snapshot: name })).rejects.toMatchObject({ code: 5 })
  })

  it("of another topic are refused, and those that are a week old are gone", async () => {
    const { subscription } = await local().createPair()
    const other = await local().createPair()
    const name = `${PROJECT}/snapshots/elsewhere`
    await local().subscriber.createSnapshot({ name, subscription })
    const seek = () => local().subscriber.seek({ subscription: other.subscription, snapshot: name })
    await expect(seek()).rejects.toMatchObject({ code: 9 })
    local().clock.advance(8 * 86_400_000)
    await expect(seek()).rejects.toMatchObject({ code: 5 })
  })
})

it("a detached subscription gets nothing, and says so to whoever pulls", async () => {
  const { topic, subscription } = await local().createPair()
  await local().publish(topic, ["lost"])
  await local().publisher.detachSubscription({ subscription })
  expect((await local().subscriber.getSubscription({ subscription }))[0]).toMatchObject({ detached: true })
  await expect(local().pull(subscription)).rejects.toMatchObject({ code: 9 })
  expect((await local().publisher.listTopicSubscriptions({ topic }))[0]).toEqual([])
})

describe("exactly-once delivery", () => {
  it("tells who acknowledges too late, and confirms who is in time", async () => {
    const { topic, subscription } = await local().createPair({
      enableExactlyOnceDelivery: true,
      ackDeadlineSeconds: 10,
    })
    await local().publish(topic, ["one"])
    const [first] = await local().pull(subscription)
    local().clock.advance(11_000)
    const late = local().subscriber.acknowledge({ subscription, ackIds: [first?.ackId ?? ""] })
    await expect(late).rejects.toMatchObject({
      code: 9,
      reason: "EXACTLY_ONCE_ACKID_FAILURE",
      errorInfoMetadata: { [first?.ackId ?? ""]: "PERMANENT_FAILURE_INVALID_ACK_ID" },
    })
    const [second] = await local().pull(subscription)
    await local().subscriber.acknowledge({ subscription, ackIds: [second?.ackId ?? ""] })
    const push = { pushEndpoint: "http://127.0.0.1:1/" }
    await expect(local().createPair({ enableExactlyOnceDelivery: true, pushConfig: push })).rejects.toMatchObject({
      code: 3,
    })
  })

  it("is what the official client's ackWithResponse waits for", async () => {
    const { topic, subscription } = await local().createPair({ enableExactlyOnceDelivery: true })
    await local().publish(topic, ["one"])
    const responses: string[] = []
    const stream = local().pubsub.subscription(subscription)
    stream.on("message", (message) => void message.ackWithResponse().then((said: string) => responses.push(said)))
    await until(() => expect(responses).toEqual(["SUCCESS"]))
    await stream.close()
  })
})

describe("over HTTP", () => {
  const url = (path: string) => `http://127.0.0.1:${local().server.port}/v1/${PROJECT}/${path}`
  const call = async (method: string, path: string, body?: object) => {
    const answer = await fetch(url(path), { method, ...(body ? { body: JSON.stringify(body) } : {}) })
    return { status: answer.status, json: (await answer.json()) as Record<string, unknown> }
  }

  it("speaks the JSON of the API at its own addresses, in either spelling of a name", async () => {
    expect(await call("PUT", "topics/rest-topic", {})).toMatchObject({
      status: 200,
      json: { name: `${PROJECT}/topics/rest-topic` },
    })
    const created = await call("PUT", "subscriptions/rest-sub", {
      topic: `${PROJECT}/topics/rest-topic`,
      ack_deadline_seconds: 20,
      messageRetentionDuration: "1200.5s",
    })
    expect(created.json).toMatchObject({
      ackDeadlineSeconds: 20,
      messageRetentionDuration: "1200.500s",
      state: "ACTIVE",
    })
    const data = Buffer.from("grüß dich").toString("base64")
    const published = await call("POST", "topics/rest-topic:publish", { messages: [{ data, attributes: { a: "b" } }] })
    expect(published.json).toEqual({ messageIds: [expect.stringMatching(/^\d+$/)] })
    const pulled = await call("POST", "subscriptions/rest-sub:pull", { maxMessages: 5 })
    expect(pulled.json).toMatchObject({
      receivedMessages: [
        { message: { data, attributes: { a: "b" }, publishTime: expect.stringMatching(/^\d{4}-.*Z$/) } },
      ],
    })
    const changed = await call("PATCH", "subscriptions/rest-sub", {
      subscription: { name: `${PROJECT}/subscriptions/rest-sub`, ackDeadlineSeconds: 30 },
      updateMask: "ackDeadlineSeconds",
    })
    expect(changed.json).toMatchObject({ ackDeadlineSeconds: 30 })
    expect((await call("GET", "topics?pageSize=1")).json).toMatchObject({ topics: [{ name: expect.any(String) }] })
  })

  it("refuses what is wrong with the status of the API", async () => {
    expect(await call("GET", "topics/not-there")).toMatchObject({
      status: 404,
      json: { error: { code: 404, status: "NOT_FOUND" } },
    })
    const unknown = await call("PUT", "topics/rest-other", { nonsense: 1 })
    expect(unknown).toMatchObject({
      status: 400,
      json: { error: { message: expect.stringContaining('Unknown name "nonsense"') } },
    })
    expect(await call("POST", "topics/x:publish", { messages: [{ data: "aGk=" }] })).toMatchObject({ status: 400 })
    expect((await call("GET", "nothing/here")).status).toBe(404)
    const broken = await fetch(url("topics/rest-topic:publish"), { method: "POST", body: "{" })
    expect(broken.status).toBe(400)
  })

  it("is not for web pages, nor for names that only point here", async () => {
    const page = await fetch(url("topics"), { headers: { origin: "https://evil.example" } })
    expect(page.status).toBe(403)
    expect((await fetch(url("topics"), { headers: { origin: "http://localhost:3000" } })).status).toBe(200)
  })

  it("is what the official client speaks with fallback", async () => {
    const { topic, subscription } = await local().createPair()
    const client = new v1.PublisherClient({
      apiEndpoint: "127.0.0.1",
      port: local().server.port,
      protocol: "http",
      fallback: true,
      authClient: new PassThroughClient(),
    })
    const [answer] = await client.publish({ topic, messages: [{ data: Buffer.from("by fallback") }] })
    expect(answer.messageIds).toEqual([expect.stringMatching(/^\d+$/)])
    expect((await local().pullAll(subscription, 1)).map(({ text }) => text)).toEqual(["by fallback"])
    await client.close()
  })
})
