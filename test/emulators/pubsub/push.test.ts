import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { PubSub } from "@google-cloud/pubsub"
import { OAuth2Client } from "google-auth-library"
import { createRemoteJWKSet, jwtVerify } from "jose"
import { afterEach, describe, expect, it, onTestFinished } from "vitest"
import { failAfter, failBefore } from "../../../services/emulators/faults.ts"
import { startPubSub } from "../../../services/emulators/pubsub/server.ts"
import type { PushClaims } from "../../../services/emulators/push-token.ts"
import { until, useLocalPubSub } from "./local-pubsub.ts"

const claims: PushClaims[] = []
const local = useLocalPubSub({
  pushTokens: (push) => {
    claims.push(push)
    return "signed"
  },
})

interface Pushed {
  headers: IncomingHttpHeaders
  body: { message: Record<string, unknown>; subscription: string; deliveryAttempt?: number }
}

const endpoints: Server[] = []

afterEach(async () => {
  for (const server of endpoints.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

/** An HTTP server that keeps what is pushed to it, and answers with what `answer` says: a status, or nothing at all. */
async function startEndpoint(answer: (count: number) => number | undefined = () => 204) {
  const pushed: Pushed[] = []
  let givenUp = 0
  const server = createServer((request, response) => {
    let text = ""
    response.on("close", () => {
      if (!response.writableFinished) givenUp++
    })
    request.setEncoding("utf8").on("data", (part: string) => (text += part))
    request.on("end", () => {
      pushed.push({ headers: request.headers, body: JSON.parse(text) })
      const status = answer(pushed.length)
      if (status === 102) response.writeProcessing()
      else if (status !== undefined) response.writeHead(status).end()
    })
  })
  endpoints.push(server)
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve)
  })
  return { pushed, givenUp: () => givenUp, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/push?x=1` }
}

const EMPTY = { undelivered: 0, outstanding: 0 }
const untilEmpty = (subscription: string) => until(() => expect(local().server.backlog(subscription)).toEqual(EMPTY))
const untilNothingIsOutstanding = (subscription: string) =>
  until(() => expect(local().server.backlog(subscription).outstanding).toBe(0))

describe("a push", () => {
  it("carries the message wrapped as Google wraps it", async () => {
    const endpoint = await startEndpoint()
    const { topic, subscription } = await local().createPair({
      pushConfig: { pushEndpoint: endpoint.url },
      enableMessageOrdering: true,
    })
    const [id] = await local().publish(topic, ["hello"], { orderingKey: "k", attributes: { a: "1" } })
    await untilEmpty(subscription)
    const publishTime = new Date(local().clock.now()).toISOString()
    expect(endpoint.pushed).toEqual([
      {
        headers: expect.objectContaining({ "content-type": "application/json", "user-agent": "CloudPubSub-Google" }),
        body: {
          message: {
            attributes: { a: "1" },
            data: Buffer.from("hello").toString("base64"),
            messageId: id,
            message_id: id,
            orderingKey: "k",
            publishTime,
            publish_time: publishTime,
          },
          subscription,
        },
      },
    ])
    expect(endpoint.pushed[0]?.headers.authorization).toBeUndefined()
  })

  it("proves who sent it when the subscription says as whom", async () => {
    const endpoint = await startEndpoint()
    const serviceAccountEmail = "pusher@shop.iam.gserviceaccount.com"
    const oidcTokens = [
      { serviceAccountEmail, audience: "https://planner" },
      { serviceAccountEmail, audience: "" },
    ]
    for (const oidcToken of oidcTokens) {
      const { topic, subscription } = await local().createPair({
        pushConfig: { pushEndpoint: endpoint.url, oidcToken },
      })
      await local().publish(topic, ["signed"])
      await untilEmpty(subscription)
    }
    expect(endpoint.pushed.map(({ headers }) => headers.authorization)).toEqual(["Bearer signed", "Bearer signed"])
    expect(claims).toEqual([
      { serviceAccountEmail, audience: "https://planner" },
      { serviceAccountEmail, audience: endpoint.url },
    ])
  })

  it.each([102, 200, 201, 202, 204])("is acknowledged by %i", async (status) => {
    const endpoint = await startEndpoint(() => status)
    const { topic, subscription } = await local().createPair({ pushConfig: { pushEndpoint: endpoint.url } })
    await local().publish(topic, ["x"])
    await untilEmpty(subscription)
    expect(endpoint.pushed).toHaveLength(1)
  })

  it.each([203, 301, 400, 404, 429, 500, 503])("is refused by %i, and comes again", async (status) => {
    const endpoint = await startEndpoint((count) => (count === 1 ? status : 200))
    const { topic, subscription } = await local().createPair({ pushConfig: { pushEndpoint: endpoint.url } })
    await local().publish(topic, ["x"])
    await until(() => expect(endpoint.pushed).toHaveLength(1))
    await untilNothingIsOutstanding(subscription)
    local().clock.advance(100)
    await untilEmpty(subscription)
    expect(endpoint.pushed).toHaveLength(2)
  })

  it("is given up at the ack deadline, and comes again", async () => {
    const endpoint = await startEndpoint((count) => (count === 1 ? undefined : 200))
    const { topic, subscription } = await local().createPair({
      pushConfig: { pushEndpoint: endpoint.url },
      retryPolicy: { minimumBackoff: { seconds: 5 } },
    })
    await local().publish(topic, ["slow"])
    await until(() => expect(endpoint.pushed).toHaveLength(1))
    local().clock.advance(10_000)
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 1, outstanding: 0 })
    await until(() => expect(endpoint.givenUp()).toBe(1))
    local().clock.advance(5000)
    await untilEmpty(subscription)
    expect(endpoint.pushed).toHaveLength(2)
  })

  it("waits as its retry policy says, then goes to the dead letters, counting the attempts", async () => {
    const endpoint = await startEndpoint(() => 500)
    const dead = await local().createPair()
    const { topic, subscription } = await local().createPair({
      pushConfig: { pushEndpoint: endpoint.url },
      retryPolicy: { minimumBackoff: { seconds: 10 }, maximumBackoff: { seconds: 40 } },
      deadLetterPolicy: { deadLetterTopic: dead.topic, maxDeliveryAttempts: 5 },
    })
    await local().publish(topic, ["poison"])
    for (const [index, delayS] of [10, 20, 40, 40].entries()) {
      await until(() => expect(endpoint.pushed).toHaveLength(index + 1))
      await untilNothingIsOutstanding(subscription)
      local().clock.advance(delayS * 1000 - 50)
      expect(endpoint.pushed).toHaveLength(index + 1)
      local().clock.advance(50)
    }
    expect(await local().pull(dead.subscription)).toMatchObject([{ text: "poison" }])
    expect(endpoint.pushed.map(({ body }) => body.deliveryAttempt)).toEqual([1, 2, 3, 4, 5])
    expect(local().server.backlog(subscription)).toEqual(EMPTY)
  })

  it("of an ordering key waits for the one before", async () => {
    const endpoint = await startEndpoint((count) => (count === 1 ? 500 : 200))
    const { topic, subscription } = await local().createPair({
      pushConfig: { pushEndpoint: endpoint.url },
      enableMessageOrdering: true,
    })
    await local().publish(topic, ["1", "2", "3"], { orderingKey: "k" })
    await until(() => expect(endpoint.pushed).toHaveLength(1))
    await untilNothingIsOutstanding(subscription)
    local().clock.advance(100)
    await untilEmpty(subscription)
    const texts = endpoint.pushed.map(({ body }) => Buffer.from(String(body.message.data), "base64").toString())
    expect(texts).toEqual(["1", "1", "2", "3"])
  })

  it("never has more than a hundred requests under way", async () => {
    const endpoint = await startEndpoint(() => undefined)
    const { topic, subscription } = await local().createPair({ pushConfig: { pushEndpoint: endpoint.url } })
    await local().publish(
      topic,
      Array.from({ length: 120 }, () => "x"),
    )
    await until(() => expect(endpoint.pushed).toHaveLength(100))
    expect(local().server.backlog(subscription)).toEqual({ undelivered: 20, outstanding: 100 })
    await local().subscriber.deleteSubscription({ subscription })
  })

  it.each([
    ["before it arrives", failBefore, 1],
    ["after it has arrived", failAfter, 2],
  ])("can be made to fail %s", async (_, fault, arrivals) => {
    const endpoint = await startEndpoint()
    const { topic, subscription } = await local().createPair({
      pushConfig: { pushEndpoint: endpoint.url },
      retryPolicy: { minimumBackoff: { seconds: 0 }, maximumBackoff: { seconds: 0 } },
    })
    const remove = local().server.faults.add(fault({ method: "push", resource: subscription }, "UNAVAILABLE"))
    await local().publish(topic, ["x"])
    await untilEmpty(subscription)
    remove()
    expect(endpoint.pushed).toHaveLength(arrivals)
  })
})

describe("a subscription", () => {
  it("turns from pull to push and back", async () => {
    const endpoint = await startEndpoint()
    const { topic, subscription } = await local().createPair()
    const pushConfig = { pushEndpoint: endpoint.url }
    await local().publish(topic, ["kept"])
    const [kept] = await local().pull(subscription)
    await local().nack(subscription, [kept?.ackId ?? ""])
    await local().subscriber.modifyPushConfig({ subscription, pushConfig })
    await untilEmpty(subscription)
    expect(endpoint.pushed).toHaveLength(1)
    await expect(local().pull(subscription)).rejects.toMatchObject({ code: 9 })
    await local().subscriber.modifyPushConfig({ subscription, pushConfig: {} })
    await local().publish(topic, ["pulled"])
    expect(await local().pull(subscription)).toMatchObject([{ text: "pulled" }])
  })
})

describe("a server that is given no key", () => {
  it("signs tokens with its own, and shows it: numbered accounts, checked by Google's library", async () => {
    const server = await startPubSub()
    onTestFinished(() => server.stop())
    const tokens: string[] = []
    const endpoint = createServer((request, response) => {
      tokens.push(request.headers.authorization ?? "")
      response.writeHead(204).end()
    })
    endpoints.push(endpoint)
    await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve))
    const pushEndpoint = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/`
    const client = new PubSub({ projectId: "shop", apiEndpoint: `127.0.0.1:${server.port}`, emulatorMode: true })
    const [topic] = await client.createTopic("pushed")
    const serviceAccountEmail = "push@shop.iam.gserviceaccount.com"
    const oidcToken = { serviceAccountEmail, audience: "aud" }
    await topic.createSubscription("push", { pushConfig: { pushEndpoint, oidcToken } })
    await topic.publishMessage({ data: Buffer.from("x") })
    await until(() => expect(tokens).toHaveLength(1))
    const certsUrl = new URL(server.certsUrl ?? "")
    const certs = (await (await fetch(new URL("/oauth2/v1/certs", certsUrl))).json()) as Record<string, string>
    const idToken = tokens[0]?.replace(/^Bearer /, "") ?? ""
    const ticket = await new OAuth2Client().verifySignedJwtWithCertsAsync(idToken, certs, "aud", [
      "https://accounts.google.com",
    ])
    const payload = ticket.getPayload()
    const { payload: claimed } = await jwtVerify(idToken, createRemoteJWKSet(certsUrl), { audience: "aud" })
    expect(claimed).toEqual(payload)
    expect(payload).toMatchObject({ email: serviceAccountEmail, email_verified: true })
    expect(payload?.sub).toMatch(/^1\d{20}$/)
    expect(payload?.azp).toBe(payload?.sub)
    await client.close()
  })
})
