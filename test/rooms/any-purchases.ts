import * as fc from "fast-check"
import { plainShop } from "../../schemas/database/shop.ts"

/** The test date in UTC, and in Berlin, where it lies on two UTC dates. */
export const utc = {
  shop: plainShop,
  fromAt: new Date("2026-11-22T00:00:00Z"),
  toAt: new Date("2026-11-23T00:00:00Z"),
  timeZone: "UTC",
}
export const berlin = {
  shop: plainShop,
  fromAt: new Date("2026-11-21T23:00:00Z"),
  toAt: new Date("2026-11-22T23:00:00Z"),
  timeZone: "Europe/Berlin",
}

const userId = fc.oneof(fc.bigInt({ min: -5n, max: 30n }), fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n))

/** Purchases on both sides of these days' ends, of few users, of guests, and of the ids at the ends of 64 bits. */
export const anyPurchases = fc.array(
  fc.tuple(
    fc.option(userId),
    fc.bigInt({ min: -1000n, max: 100_000n }),
    fc.constantFrom(
      "2026-11-21 22:59:59",
      "2026-11-21 23:00:00",
      "2026-11-21 23:59:59",
      "2026-11-22 00:00:00",
      "2026-11-22 22:59:59",
      "2026-11-22 23:00:00",
      "2026-11-22 23:59:59",
      "2026-11-23 00:00:00",
    ),
  ),
  { minLength: 1, maxLength: 60 },
)

/** Ids at which ranges are cut, in any order. */
export const anyCuts = fc.uniqueArray(fc.bigInt({ min: -5n, max: 30n }), { maxLength: 4 })
