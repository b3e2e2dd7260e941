import { pino } from "pino"
import { afterEach, expect, test, vi } from "vitest"
import { type PushMessage, startPushServer } from "../../../shared/messages/push-server.ts"

let close: (() => Promise<void>) | undefined
afterEach(() => close?.())

async function serve(take: (message: PushMessage) => Promise<void>) {
  const lines: Record<string, unknown>[] = []
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const calls = { "/sweep": async () => undefined, "/failing": async () => "these duties failed: plan-night" }
  const server = await startPushServer({ port: 0, host: "127.0.0.1", log, messages: { "/run-requests": take }, calls })
  close = () => server.close()
  const post = (path: string, body: unknown) =>
    fetch(`${server.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    })
  return { url: server.url, post, lines, close: () => server.close() }
}

const delivery = {
  message: {
    data: Buffer.from('{"date":"2026-11-22"}').toString("base64"),
    attributes: { a: "b" },
    messageId: "17",
    publishTime: "2026-11-23T01:02:03.456Z",
  },
  subscription: "projects/shop/subscriptions/planner-run-requests",
  deliveryAttempt: 3,
}

test("a message is taken as it was published, and acknowledged once it is handled", async () => {
  const taken: PushMessage[] = []
  const { post } = await serve(async (message) => void taken.push(message))
  expect((await post("/run-requests", delivery)).status).toBe(204)
  expect(taken).toEqual([
    {
      id: "17",
      subscription: "planner-run-requests",
      publishedAt: new Date("2026-11-23T01:02:03.456Z"),
      attributes: { a: "b" },
      data: '{"date":"2026-11-22"}',
      deliveryAttempt: 3,
    },
  ])
})

test("a message that cannot be handled is refused, logged with its id, and its answer gives nothing away", async () => {
  const { post, lines } = await serve(() => Promise.reject(new Error("secret: the database is down")))
  const answer = await post("/run-requests", delivery)
  expect(answer.status).toBe(503)
  expect(await answer.text()).not.toContain("secret")
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ messageId: "17", deliveryAttempt: 3, error: "secret: the database is down" })
})

test.each([
  ["no JSON", "{"],
  ["no envelope", "{}"],
  ["null", "null"],
  ["a list", "[]"],
  ["no id", { message: { ...delivery.message, messageId: "" } }],
  ["no time", { message: { ...delivery.message, publishTime: "soon" } }],
  ["unwrapped", { date: "2026-11-22" }, "--clear-push-no-wrapper-config"],
  ["a CloudEvent", { specversion: "1.0", type: "x", source: "y", data: delivery }, "CloudEvent"],
  [
    "only in snake_case",
    { message: { message_id: "17", publish_time: "2026-11-23T01:02:03Z", data: "" } },
    "message_id",
  ],
  ["a field that would be everybody's", '{"__proto__":{"admin":true},"message":{}}', "not valid JSON"],
])("what is no push delivery is a bad request, is logged, and reaches nobody: %s", async (_name, body, told = "") => {
  const taken: PushMessage[] = []
  const { post, lines } = await serve(async (message) => void taken.push(message))
  expect((await post("/run-requests", body)).status).toBe(400)
  expect(taken).toEqual([])
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ path: "/run-requests", reason: expect.stringContaining(told) as string })
})

test("health and calls are answered; other paths and methods are not", async () => {
  const { url, post } = await serve(async () => {})
  expect((await fetch(`${url}/healthz`)).status).toBe(200)
  expect((await post("/sweep", {})).status).toBe(204)
  const failing = await post("/failing", {})
  expect(failing.status).toBe(503)
  expect(await failing.json()).toEqual({ error: "these duties failed: plan-night" })
  expect((await fetch(`${url}/run-requests`)).status).toBe(404)
  expect((await post("/elsewhere", delivery)).status).toBe(404)
})

test("a server that closes during a delivery answers it and is closed then, though the caller keeps its connection", async () => {
  const handled = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  const { url, post, close } = await serve(async () => {
    taken.resolve()
    await handled.promise
  })
  const answer = post("/run-requests", delivery)
  await taken.promise
  const closed = close()
  await vi.waitFor(() => expect(fetch(`${url}/healthz`)).rejects.toThrow("fetch failed"))
  handled.resolve()
  expect((await answer).status).toBe(204)
  const answeredAt = performance.now()
  await closed
  // An idle connection is kept for 72 s otherwise.
  expect(performance.now() - answeredAt).toBeLessThan(10_000)
})
