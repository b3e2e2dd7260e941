import { randomBytes } from "node:crypto"
import { Webhook } from "standardwebhooks"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { date, type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"
import { startReceiver, type TestReceiver } from "../fixtures/start-receiver.ts"

const key = `whsec_${randomBytes(32).toString("base64")}`
const wait = { timeout: 30_000, interval: 20 }

interface Event {
  type: string
  subject: string
  pageurl: string
  data: Record<string, unknown>
}

let pipeline: Pipeline
let receiver: TestReceiver
beforeAll(async () => {
  receiver = await startReceiver()
  pipeline = await startPipeline({
    pagePort: 0,
    shardPurchases: 500,
    settings: { NOTIFY_URL: receiver.url, NOTIFY_SECRETS: key },
  })
  await pipeline.query(...purchasesOf(1_200, 1))
})
afterAll(async () => {
  await pipeline?.stop()
  await receiver?.stop()
})

const events = () =>
  receiver.received.map(
    ({ body, headers }) => new Webhook(key).verify(body, headers as Record<string, string>) as Event,
  )

/** Waits until so many have been received, and returns the last. */
const awaitEvent = (count: number) =>
  vi.waitFor(() => {
    expect(receiver.received).toHaveLength(count)
    return events().at(-1) as Event
  }, wait)

test("an incomplete version is told with what readers see meanwhile, once for each verdict, and its page is linked", async () => {
  expect(await pipeline.start()).toMatchObject({ verdict: "complete" })
  const shown = await vi.waitFor(() => {
    const [change] = pipeline.dayChanges(date)
    if (!change) throw new Error("not told yet")
    return change
  }, wait)
  await pipeline.query(
    `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (71, 9223372036854775807, '${date} 10:00:00')`,
  )
  const verdict = await pipeline.start()
  expect(verdict).toMatchObject({ verdict: "incomplete", version: 2 })
  const event = await awaitEvent(1)
  expect(event).toMatchObject({ type: "daybook.day.incomplete", subject: date })
  expect(event.data).toMatchObject({ state: "incomplete", version: 2, previousVersion: 1, runId: verdict.runId })
  expect(event.data["before"]).toEqual({
    users: String(shown.after?.users),
    purchases: String(shown.after?.purchases),
    amountCents: shown.after?.amountCents,
  })
  expect(event.data).not.toHaveProperty("after")
  expect(event.data["document"]).toBe(verdict.document)
  const page = await fetch(event.pageurl)
  expect([page.status, await page.text()]).toEqual([200, expect.stringContaining(date) as string])

  expect(await pipeline.rerun({ runId: verdict.runId })).toMatchObject({ verdict: "incomplete", dispatch: 1 })
  const again = await awaitEvent(2)
  expect(again.data["changeId"]).not.toBe(event.data["changeId"])
})

test("a version that a check holds is told with what it adds up to, and one that is released is not told as held again", async () => {
  await pipeline.query(
    "DELETE FROM purchases WHERE amount_cents > 1000000",
    "UPDATE purchases SET amount_cents = -1000",
  )
  const held = await pipeline.start()
  expect(held).toMatchObject({ verdict: "held", version: 3 })
  const event = await awaitEvent(3)
  expect(event.data).toMatchObject({
    state: "held",
    version: 3,
    previousVersion: 1,
    after: { purchases: String(held.purchases), amountCents: held.amountCents },
  })
  await pipeline.awaitVerdict(await pipeline.publish("release-requests", { date }))
  await vi.waitFor(
    () => expect(pipeline.dayChanges(date).at(-1)).toMatchObject({ state: "shown-anew", version: 3 }),
    wait,
  )
  expect(pipeline.dayChanges(date).map(({ state }) => state)).toEqual([
    "shown",
    "incomplete",
    "incomplete",
    "held",
    "shown-anew",
  ])
  expect(receiver.received).toHaveLength(3)
})
