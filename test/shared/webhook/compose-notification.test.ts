import { type CloudEvent, HTTP } from "cloudevents"
import { describe, expect, test } from "vitest"
import { formatJson } from "../../../schemas/json.ts"
import { type DayChange, DayChangeSchema } from "../../../schemas/messages/day_change_pb.ts"
import { composeNotification, readChange } from "../../../shared/webhook/compose-notification.ts"
import { dayStates } from "../../../shared/webhook/describe-change.ts"

const before = { users: 2n, purchases: 1n, amountCents: "-12345" }
const after = { users: 74_936n, purchases: 242_514n, amountCents: "1571766066" }
const drifted = {
  changeId: "42",
  date: "2026-11-22",
  state: "drifted",
  changedAt: "2026-11-23T01:02:03.456Z",
  version: 2,
  runId: "2026-11-22-1",
  before,
  after,
}

type Given = Partial<Omit<DayChange, "$typeName" | "$unknown" | "before" | "after">> & {
  before?: object | undefined
  after?: object | undefined
}
const messageOf = (given: Given = {}) => formatJson(DayChangeSchema, { ...drifted, ...given })
const options = { project: "shop", pageUrl: undefined, scale: 2 }
const textOf = (given: Given = {}, pageUrl?: string, scale = 2) => {
  const { body } = composeNotification(readChange(messageOf(given)), { ...options, format: "text", pageUrl, scale })
  return (JSON.parse(body) as { text: string }).text
}
const eventOf = (message: string, more = {}) =>
  composeNotification(readChange(message), { ...options, format: "cloudevents", ...more })

describe("as a CloudEvent", () => {
  test("it is one to the SDK of CloudEvents, with the message as its data", () => {
    const { id, contentType, body } = eventOf(messageOf(), { pageUrl: "https://days.example/page" })
    const event = HTTP.toEvent({ headers: { "content-type": contentType }, body }) as CloudEvent
    expect(event.validate()).toBe(true)
    expect(event.toJSON()).toEqual({
      specversion: "1.0",
      id,
      source: "//pubsub.googleapis.com/projects/shop/topics/day-changes",
      type: "daybook.day.drifted",
      subject: "2026-11-22",
      time: "2026-11-23T01:02:03.456Z",
      datacontenttype: "application/json",
      sequence: "00000000000000000042",
      pageurl: "https://days.example/page/?day=2026-11-22",
      data: JSON.parse(messageOf()),
    })
  })

  test("its id is the same for the same change, and another for a change of another time with the same number", () => {
    expect(eventOf(messageOf()).id).toBe(eventOf(messageOf()).id)
    const ids = [messageOf(), messageOf({ changeId: "43" }), messageOf({ changedAt: "2026-11-23T01:02:03.457Z" })]
    expect(new Set(ids.map((message) => eventOf(message).id)).size).toBe(3)
    // Part of what is signed: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    expect(eventOf(messageOf()).id).toMatch(/^[\w-]+$/)
  })

  test("its sequence, compared as text, is in the order of changes", () => {
    const numbers = ["2", "10", "9", "18446744073709551615", "100"]
    const sequenceOf = (changeId: string) =>
      (JSON.parse(eventOf(messageOf({ changeId })).body) as { sequence: string }).sequence
    const bySequence = numbers.toSorted((a, b) => (sequenceOf(a) < sequenceOf(b) ? -1 : 1))
    expect(bySequence).toEqual(["2", "9", "10", "100", "18446744073709551615"])
  })

  test("it hands on what only a newer version of the message knows", () => {
    const message = JSON.stringify({ ...(JSON.parse(messageOf()) as object), currency: "EUR" })
    expect(JSON.parse(eventOf(message).body)).toMatchObject({ data: { currency: "EUR" } })
  })

  test("a sample says that it is one", () => {
    const { id, body } = eventOf(messageOf(), { sampleId: "test-1" })
    expect([id, JSON.parse(body)]).toMatchObject(["test-1", { id: "test-1", test: true }])
  })
})

describe("as a sentence", () => {
  test.each<[string, Given, string]>([
    [
      "drifted",
      {},
      "has drifted: readers see version 2 with 1 purchase worth -123.45, and the shop now has 242,514 purchases worth 15,717,660.66.",
    ],
    ["late", { version: 0, before: undefined, after: undefined }, "is late: it was not published by its deadline."],
    [
      "held",
      { version: 3, previousVersion: 2 },
      "is held for review: version 3 with 242,514 purchases worth 15,717,660.66 is not published, and readers see version 2 with 1 purchase worth -123.45.",
    ],
    [
      "held",
      { version: 1, before: undefined },
      "is held for review: version 1 with 242,514 purchases worth 15,717,660.66 is not published, and readers see no version.",
    ],
    [
      "incomplete",
      { version: 1, before: undefined, after: undefined },
      "is incomplete: version 1 could not be proven, and readers see no version.",
    ],
    ["shown", { before: undefined }, "is published: version 2 with 242,514 purchases worth 15,717,660.66."],
    [
      "shown",
      { before: undefined, auditId: "a" },
      "agrees with the shop again: version 2 with 242,514 purchases worth 15,717,660.66.",
    ],
    [
      "shown-anew",
      { previousVersion: 1 },
      "is published again: version 2 with 242,514 purchases worth 15,717,660.66 replaces version 1 with 1 purchase worth -123.45.",
    ],
    [
      "repaired",
      { previousVersion: 1, before: undefined },
      "is repaired: version 2 with 242,514 purchases worth 15,717,660.66 replaces version 1.",
    ],
    [
      "arrived",
      { before: undefined },
      "was late and is now published: version 2 with 242,514 purchases worth 15,717,660.66.",
    ],
    ["erased", {}, "has fewer rows, because a user was erased: version 2 with 242,514 purchases worth 15,717,660.66."],
  ])("%s is told with its amounts", (state, given, sentence) => {
    expect(textOf({ state, ...given })).toBe(`The revenue of 2026-11-22 ${sentence}`)
  })

  test("every state has one, and ends with the link to the page", () => {
    expect(dayStates).toHaveLength(9)
    for (const state of dayStates) {
      const text = textOf({ state }, "https://days.example")
      expect(text).toMatch(
        /^The revenue of 2026-11-22 [^.]*(\.\d\d[^.]*)*\. https:\/\/days\.example\/\?day=2026-11-22$/,
      )
    }
  })

  test("amounts of several currencies stand beside each other, the first few of many", () => {
    const partsOf = (...currencies: string[]) => ({
      purchases: 7n,
      amountCents: "",
      parts: currencies.map((currency, index) => ({ currency, purchases: 1n, amountCents: String(index * 100 + 5) })),
    })
    const textWith = (...currencies: string[]) => textOf({ state: "shown", after: partsOf(...currencies) })
    expect(textWith("EUR")).toContain("7 purchases worth 0.05 EUR.")
    expect(textWith("EUR", "USD")).toContain("worth 0.05 EUR and 1.05 USD.")
    expect(textWith("EUR", "USD", "")).toContain("worth 0.05 EUR, 1.05 USD and 2.05 without currency.")
    expect(textWith("A", "B", "C", "D", "E", "F", "G")).toContain("4.05 E and amounts of 2 more currencies.")
    expect(textWith()).toContain("7 purchases worth 0.00.")
  })

  test.each([
    [0, "-12,345"],
    [3, "-12.345"],
  ])("with %i decimals in the shop's amounts, it has so many", (scale, amount) => {
    expect(textOf({}, undefined, scale)).toContain(`1 purchase worth ${amount},`)
  })

  test("what the shop has for a currency reaches nobody's chat as a mention, a link or markup", () => {
    const parts = ["<!channel>", "@all", "https://x.example", "EUR\n> x", "*b*"].map((currency) => ({
      currency,
      purchases: 1n,
      amountCents: "100",
    }))
    const text = textOf({ state: "shown", after: { purchases: 5n, amountCents: "", parts } })
    expect(text).toMatch(/worth (1\.00 of another currency(, | and |\.)){5}$/)
  })

  test("a sample says so first", () => {
    const read = readChange(messageOf({ state: "late" }))
    const { body } = composeNotification(read, { ...options, format: "text", sampleId: "test-1" })
    expect(body).toBe(
      '{"text":"This is a test. The revenue of 2026-11-22 is late: it was not published by its deadline."}',
    )
  })
})

test.each([
  ["no JSON", "{", "not JSON"],
  ["no date", messageOf({ date: "yesterday" }), "DayChange.date"],
  ["no number", messageOf({ changeId: "1\r\nx: y" }), "DayChange.changeId"],
  ["no time", messageOf({ changedAt: "soon" }), "DayChange.changedAt"],
  ["nothing", "{}", "DayChange.changeId: missing"],
])("a message with %s is refused by its field", (_what, message, problem) => {
  expect(() => readChange(message)).toThrow(problem)
})
