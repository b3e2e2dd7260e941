import { describe, expect, it } from "vitest"
import { PROJECT, useLocalPubSub } from "./local-pubsub.ts"

// What Google's own suites look at: nodejs-pubsub, system-test/pubsub.ts, "IAM", and python-pubsub, tests/system.py.

const local = useLocalPubSub()
const publisher = { role: "roles/pubsub.publisher", members: ["serviceAccount:a@shop.iam.gserviceaccount.com"] }
const url = (path: string) => `http://127.0.0.1:${local().server.port}/v1/${path}`

describe("an IAM policy", () => {
  it("of a topic is empty, is set and kept, and grants everything to whoever asks", async () => {
    const { topic } = await local().createPair()
    const { iam } = local().pubsub.topic(topic)
    const [begun] = await iam.getPolicy()
    expect([begun.bindings, begun.version]).toEqual([[], 0])
    const [set] = await iam.setPolicy({ bindings: [publisher] })
    expect(set.bindings).toEqual([{ condition: null, ...publisher }])
    const [permissions] = await iam.testPermissions(["pubsub.topics.get", "pubsub.topics.update"])
    expect(permissions).toEqual({ "pubsub.topics.get": true, "pubsub.topics.update": true })
  })

  it("of a subscription is guarded by its etag", async () => {
    const { subscription } = await local().createPair()
    const { iam } = local().pubsub.subscription(subscription)
    const [begun] = await iam.getPolicy()
    await iam.setPolicy({ ...begun, bindings: [publisher] })
    await expect(iam.setPolicy({ ...begun, bindings: [] })).rejects.toMatchObject({ code: 10 })
    await iam.setPolicy({ bindings: [] })
    expect((await iam.getPolicy())[0].bindings).toEqual([])
  })

  it("does not outlive what it is of, and is of nothing that there is not", async () => {
    const topic = await local().createTopic()
    const { iam } = local().pubsub.topic(topic)
    await iam.setPolicy({ bindings: [publisher] })
    await local().publisher.deleteTopic({ topic })
    await expect(iam.getPolicy()).rejects.toMatchObject({ code: 5 })
    await local().publisher.createTopic({ name: topic })
    expect((await iam.getPolicy())[0].bindings).toEqual([])
  })

  it("is asked for over HTTP as gcloud asks, and refused where it is wrong", async () => {
    const topic = await local().createTopic()
    const post = async (verb: string, body: object) => {
      const answer = await fetch(url(`${topic}:${verb}`), { method: "POST", body: JSON.stringify(body) })
      return { status: answer.status, json: (await answer.json()) as Record<string, unknown> }
    }
    const set = await post("setIamPolicy", { policy: { bindings: [publisher] } })
    expect(set).toMatchObject({ status: 200, json: { bindings: [publisher], etag: expect.any(String) } })
    const got = await fetch(url(`${topic}:getIamPolicy?options.requestedPolicyVersion=3`))
    expect(await got.json()).toEqual(set.json)
    expect((await post("setIamPolicy", { policy: { etag: "b2xk", bindings: [] } })).status).toBe(409)
    const wrong = { policy: { bindings: [{ role: "publisher", members: [] }] } }
    expect((await post("setIamPolicy", wrong)).status).toBe(400)
    const permissions = ["pubsub.topics.publish"]
    expect((await post("testIamPermissions", { permissions })).json).toEqual({ permissions })
  })
})

describe("what has no name", () => {
  it("gets a random one in the project of its topic or subscription", async () => {
    const topic = await local().createTopic()
    const [subscription] = await local().subscriber.createSubscription({ topic })
    expect(subscription.name).toMatch(new RegExp(`^${PROJECT}/subscriptions/[a-z].+`))
    const [other] = await local().subscriber.createSubscription({ topic })
    expect(other.name).not.toBe(subscription.name)
    const [snapshot] = await local().subscriber.createSnapshot({ subscription: subscription.name ?? "" })
    expect(snapshot.name).toMatch(new RegExp(`^${PROJECT}/snapshots/[a-z].+`))
  })
})

describe("labels", () => {
  it.each([
    ["an uppercase key", { Team: "a" }],
    ["a key that begins with a digit", { "1a": "a" }],
    ["a value with a space", { team: "a b" }],
    ["a key that is too long", { ["k".repeat(64)]: "a" }],
    ["too many", Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`k${at}`, "a"]))],
  ])("are refused: %s", async (_what, labels) => {
    const topic = await local().createTopic()
    const refused = { code: 3, message: expect.stringContaining("Invalid labels given") }
    await expect(local().publisher.createTopic({ name: `${topic}-x`, labels })).rejects.toMatchObject(refused)
    await expect(local().subscriber.createSubscription({ topic, labels })).rejects.toMatchObject(refused)
    const { subscription } = await local().createPair()
    const update = { subscription: { name: subscription, labels }, updateMask: { paths: ["labels"] } }
    await expect(local().subscriber.updateSubscription(update)).rejects.toMatchObject(refused)
    await expect(local().subscriber.createSnapshot({ subscription, labels })).rejects.toMatchObject(refused)
  })

  it("may be of any language, and empty", async () => {
    const name = `${await local().createTopic()}-labelled`
    const labels = { straße: "größe", 日本: "", a_b: "c-1" }
    expect((await local().publisher.createTopic({ name, labels }))[0].labels).toEqual(labels)
  })
})
