import { describe, expect, test } from "vitest"
import { describeHeadline } from "../../services/page/describe-headline.ts"
import type { Totals } from "../../shared/day/totals.ts"
import type { Day } from "../../shared/ledger/days/list-days.ts"

const date = "2026-11-24"
const totals: Totals = { rows: 4_367n, purchases: 19_410n, amountCents: 125_056_979n, parts: [] }
const shown = { version: 1, since: new Date("2026-11-25T00:12:00Z"), totals, auditedAt: null }
const run = (state: NonNullable<Day["newest"]>["state"], version = 1) => ({ runId: `${date}-7`, version, state })
const dayOf = (day: Partial<Day>): Day => ({
  date,
  state: "missing",
  shown: undefined,
  newest: undefined,
  lateAt: undefined,
  ...day,
})
const at = (
  now: string,
  day: Partial<Day>,
  more: { deadline?: string; timeZone?: string; before?: typeof totals } = {},
) =>
  describeHeadline({
    day: dayOf(day),
    now: new Date(now),
    timeZone: more.timeZone ?? "UTC",
    deadline: more.deadline,
    before: more.before,
    scale: 2,
  })

const morning = "2026-11-25T05:00:00Z"

describe("of a day that readers see", () => {
  test("it says what there is, since when, how long before the deadline, and how the weekday before was", () => {
    const before = { ...totals, amountCents: 126_452_365n }
    expect(at(morning, { state: "shown", shown, newest: run("complete") }, { deadline: "06:00", before })).toEqual({
      date,
      mood: "good",
      sentence: "Tuesday 24 November is there.",
      details: [
        "4,367 users spent 1,250,569.79 in 19,410 purchases.",
        "Version 1 since 00:12, 5 h 48 min before the deadline.",
        "Tuesday 17 November had 1,264,523.65 (−1.1 %).",
      ],
    })
  })

  test.each([
    [{ state: "shown", newest: run("complete") }, "good", "is there"],
    [{ state: "drifted", newest: run("complete") }, "bad", "has changed in the shop since it was shown"],
    [{ state: "shown", newest: run("held", 2) }, "bad", "is there, and a newer version 2 is held"],
    [{ state: "shown", newest: run("incomplete", 2) }, "bad", "is there, and a newer version 2 is incomplete"],
    [{ state: "shown", newest: run("cancelled", 2) }, "good", "is there"],
    [{ state: "running", newest: run("running", 2) }, "good", "is there, and version 2 is on its way"],
  ] as const)("%o", (day, mood, words) => {
    expect(at(morning, { ...day, shown })).toMatchObject({ mood, sentence: `Tuesday 24 November ${words}.` })
  })

  test("of one that came late it says so, and of another date which", () => {
    const late = { ...shown, since: new Date("2026-11-26T07:05:00Z") }
    expect(at("2026-11-26T09:00:00Z", { state: "shown", shown: late }, { deadline: "06:00" }).details[1]).toBe(
      "Version 1 since 26 November 07:05, 25 h 5 min after the deadline.",
    )
  })
})

describe("of a day that nobody sees", () => {
  test.each([
    [{ state: "missing" }, "open", "is not there: nobody has asked for it"],
    [{ state: "waiting", newest: run("waiting") }, "open", "is not there yet: its run waits for its turn"],
    [{ state: "planning", newest: run("planning") }, "open", "is not there yet: its run is being planned"],
    [{ state: "running", newest: run("running") }, "open", "is not there yet: its run is being computed"],
    [{ state: "verifying", newest: run("verifying") }, "open", "is not there yet: its run is being verified"],
    [{ state: "held", newest: run("held") }, "bad", "is held: a check objects to version 1"],
    [{ state: "incomplete", newest: run("incomplete") }, "bad", "is not there: version 1 is incomplete"],
    [{ state: "cancelled", newest: run("cancelled") }, "bad", "is not there: version 1 was cancelled"],
    [{ state: "complete", newest: run("complete") }, "bad", "is not there"],
  ] as const)("%o", (day, mood, words) => {
    expect(at(morning, day)).toMatchObject({ mood, sentence: `Tuesday 24 November ${words}.`, details: [] })
  })

  test("it says how long there is until the deadline, and how long it is past", () => {
    expect(at(morning, {}, { deadline: "06:00" })).toMatchObject({
      mood: "open",
      details: ["The deadline is 06:00, in 1 h."],
    })
    expect(at("2026-11-25T06:00:00Z", {}, { deadline: "06:00" })).toMatchObject({
      mood: "bad",
      details: ["The deadline was 06:00, less than a minute ago."],
    })
  })
})

describe("in Berlin", () => {
  const timeZone = "Europe/Berlin"

  test("the morning after a day of 23 hours", () => {
    // Clocks went forward on 29 March: 00:30 of the 30th is 22:30 UTC.
    const day = {
      date: "2026-03-29",
      state: "shown",
      shown: { ...shown, since: new Date("2026-03-29T22:30:00Z") },
    } as const
    expect(at("2026-03-30T06:00:00Z", day, { timeZone, deadline: "06:00" })).toMatchObject({
      sentence: "Sunday 29 March is there.",
      details: [expect.anything(), "Version 1 since 00:30, 5 h 30 min before the deadline."],
    })
  })

  test("the morning on which the clocks go forward: from midnight to six are five hours", () => {
    const day = {
      date: "2026-03-28",
      state: "shown",
      shown: { ...shown, since: new Date("2026-03-28T23:00:00Z") },
    } as const
    expect(at("2026-03-29T06:00:00Z", day, { timeZone, deadline: "06:00" }).details[1]).toBe(
      "Version 1 since 00:00, 5 h before the deadline.",
    )
  })

  test("the morning on which they go back: an hour comes twice, and is told by its offset", () => {
    const day = {
      date: "2026-10-24",
      state: "shown",
      shown: { ...shown, since: new Date("2026-10-25T00:30:00Z") },
    } as const
    expect(at("2026-10-25T08:00:00Z", day, { timeZone, deadline: "06:00" }).details[1]).toBe(
      "Version 1 since 02:30 (UTC+02:00), 4 h 30 min before the deadline.",
    )
  })
})

test("amounts of currencies are never one, and of more than 2^53 have every digit", () => {
  const parts = [
    { currency: "EUR", rows: 2n, purchases: 3n, amountCents: 9_007_199_254_740_993n, measures: {} },
    { currency: "", rows: 1n, purchases: 1n, amountCents: -5n, measures: {} },
  ]
  const both = { rows: 3n, purchases: 4n, amountCents: undefined, parts }
  const { details } = at(morning, { state: "shown", shown: { ...shown, totals: both } })
  expect(details[0]).toBe("3 users spent 90,071,992,547,409.93 EUR and -0.05 without currency in 4 purchases.")
})
