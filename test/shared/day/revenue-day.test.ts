import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { plainShop } from "../../../schemas/database/shop.ts"
import { resolveRevenueDay } from "../../../shared/day/revenue-day.ts"
import { shopDates } from "../../../shared/day/shop-day.ts"
import { PermanentError } from "../../../shared/errors.ts"

const [source] = plainShop.sources
const now = new Date("2026-11-23T12:00:00Z")

const resolve = (date: string, timeZone = "UTC", publishedAt = now, at = now) =>
  resolveRevenueDay(date, timeZone, publishedAt, at)

const hours = (day: { fromAt: Date; toAt: Date }) => (day.toAt.getTime() - day.fromAt.getTime()) / 3_600_000

test("a date in UTC lies between two midnights and touches one UTC date", () => {
  const day = resolve("2026-11-22")
  expect(day).toEqual({
    date: "2026-11-22",
    fromAt: new Date("2026-11-22T00:00:00Z"),
    toAt: new Date("2026-11-23T00:00:00Z"),
  })
  expect(shopDates(source, { ...day, timeZone: "UTC" })).toEqual(["2026-11-22"])
})

test("a date in another time zone touches two UTC dates", () => {
  const day = resolve("2026-11-22", "Europe/Berlin")
  expect(day.fromAt.toISOString()).toBe("2026-11-21T23:00:00.000Z")
  expect(shopDates(source, { ...day, timeZone: "UTC" })).toEqual(["2026-11-21", "2026-11-22"])
})

test("the days on which Berlin changes its clocks have 23 and 25 hours", () => {
  expect(hours(resolve("2026-03-29", "Europe/Berlin"))).toBe(23)
  expect(hours(resolve("2026-10-25", "Europe/Berlin"))).toBe(25)
  expect(hours(resolve("2026-10-26", "Europe/Berlin"))).toBe(24)
})

describe('"yesterday" is the day before the message was published, where the shop is', () => {
  test.each([
    ["2026-11-22T22:59:59Z", "2026-11-21"],
    ["2026-11-22T23:00:00Z", "2026-11-22"],
    // In the night of 28 to 29 March Berlin goes from UTC+1 to UTC+2.
    ["2026-03-28T23:30:00Z", "2026-03-28"],
    ["2026-03-29T21:59:59Z", "2026-03-28"],
    ["2026-03-29T22:00:00Z", "2026-03-29"],
    // In the night of 24 to 25 October it goes back.
    ["2026-10-24T22:00:00Z", "2026-10-24"],
    ["2026-10-25T22:59:59Z", "2026-10-24"],
    ["2026-10-25T23:00:00Z", "2026-10-25"],
  ])("published at %s it is %s", (publishedAt, date) => {
    expect(resolve("yesterday", "Europe/Berlin", new Date(publishedAt)).date).toBe(date)
  })

  test("a redelivery much later means the same day", () => {
    const publishedAt = new Date("2026-11-20T05:00:00Z")
    expect(resolve("yesterday", "UTC", publishedAt, now).date).toBe("2026-11-19")
  })

  test("it has always ended when the message is published", () => {
    const zones = fc.constantFrom("UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Pacific/Pago_Pago")
    fc.assert(
      fc.property(
        fc.date({ min: new Date("2000-01-01"), max: new Date("2100-01-01"), noInvalidDate: true }),
        zones,
        (at, zone) => {
          const day = resolveRevenueDay("yesterday", zone, at, at)
          expect(day.toAt.getTime()).toBeLessThanOrEqual(at.getTime())
          expect(at.getTime() - day.toAt.getTime()).toBeLessThan(25 * 3_600_000)
        },
      ),
    )
  })
})

describe("a date that cannot be computed is refused for good, with the reason", () => {
  test.each([
    ["2026-02-30", "2026-02-30 does not exist"],
    ["2026-13-01", "does not exist"],
    ["2025-02-29", "does not exist"],
    ["22.11.2026", "not of the form YYYY-MM-DD"],
    ["2026-11-22T00:00:00Z", "not of the form"],
    ["", "not of the form"],
    ["0000-01-01", "not of the form"],
    ["Yesterday", "not of the form"],
    ["2026-11-23", "has not ended yet in UTC: it ends at 2026-11-24T00:00:00.000Z"],
    ["2027-01-01", "has not ended yet"],
  ])("%j", (date, reason) => {
    expect(() => resolve(date)).toThrow(PermanentError)
    expect(() => resolve(date)).toThrow(reason)
  })

  test("the same instant may be after the end of a date in one time zone and before it in another", () => {
    const at = new Date("2026-11-22T23:30:00Z")
    expect(resolve("2026-11-22", "Europe/Berlin", at, at).date).toBe("2026-11-22")
    expect(() => resolve("2026-11-22", "UTC", at, at)).toThrow("has not ended yet")
  })
})
