import * as fc from "fast-check"
import { expect, test } from "vitest"
import { plainShop } from "../../../schemas/database/shop.ts"
import { compareTotals, type ReadPage, type UserChange, type UserSums } from "../../../shared/day/compare-totals.ts"
import { formatChange, listChanges } from "../../../shared/day/list-changes.ts"
import { createTally } from "../../../shared/day/tally-changes.ts"
import { useTestDatabase } from "../../fixtures/test-database.ts"
import { cutAt, testDate } from "../../fixtures/test-run.ts"

const database = useTestDatabase()

const min = -(2n ** 63n)
const max = 2n ** 63n - 1n
const userIds = fc.oneof(fc.bigInt({ min: -3n, max: 30n }), fc.constantFrom(min, min + 1n, max - 1n, max))
const spent = fc.record({ amount: fc.bigInt({ min: -3n, max: 3n }), purchases: fc.integer({ min: 1, max: 2 }) })
const sides = fc.array(fc.tuple(userIds, fc.record({ before: fc.option(spent), after: fc.option(spent) })), {
  maxLength: 40,
})
type Side = "before" | "after"
type Users = Map<bigint, { before: Spent | null; after: Spent | null }>
type Spent = { amount: bigint; purchases: number }

/** Whom the comparison must name, in their order. */
function expected(users: Users) {
  return [...users]
    .filter(([, { before, after }]) => before?.amount !== after?.amount || before?.purchases !== after?.purchases)
    .map(([userId]) => userId)
    .toSorted((a, b) => (a < b ? -1 : 1))
}

function totalsOf(users: Users, side: Side): (UserSums & { userId: bigint })[] {
  return [...users]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([userId, of]) => {
      const spent = of[side]
      return spent ? [{ userId, order: userId, currency: undefined, sums: toSums(spent) }] : []
    })
}

const toSums = ({ amount, purchases }: Spent) => ({
  amountCents: amount,
  purchases: BigInt(purchases),
  measures: {},
})

test("any two sides, read by pages of any size, differ in just the users who differ", async () => {
  await fc.assert(
    fc.asyncProperty(sides, fc.integer({ min: 1, max: 7 }), async (entries, usersPerPage) => {
      const users: Users = new Map(entries)
      const reader = (side: Side): ReadPage => {
        const all = totalsOf(users, side)
        return async ({ after, through }, limit) => {
          const isMeant = ({ userId }: { userId: bigint }) =>
            (after === undefined || userId > BigInt(after)) && (through === undefined || userId <= BigInt(through))
          const page = all.filter(isMeant).slice(0, limit)
          return { users: page, last: page.length < limit ? undefined : page.at(-1) }
        }
      }
      const changes = await Array.fromAsync(compareTotals(reader("before"), reader("after"), {}, usersPerPage))
      expect(changes.map(({ userId }) => userId)).toEqual(expected(users))
      for (const { userId, before, after } of changes) {
        expect(before?.amountCents).toBe(users.get(BigInt(userId))?.before?.amount)
        expect(after?.purchases).toBe(toCount(users.get(BigInt(userId))?.after))
      }
    }),
    { numRuns: 500 },
  )
})

const toCount = (of: Spent | null | undefined) => (of ? BigInt(of.purchases) : undefined)

test("two versions in the database differ in just the users whose rows differ, in any ranges", async () => {
  await fc.assert(
    fc.asyncProperty(
      sides,
      fc.uniqueArray(fc.bigInt({ min: -3n, max: 30n }), { maxLength: 3 }),
      async (entries, cuts) => {
        const users: Users = new Map(entries)
        await database.query("DELETE FROM revenue_versions")
        for (const [version, side] of [
          [1, "before"],
          [2, "after"],
        ] as const) {
          const rows = totalsOf(users, side).map(
            ({ userId, sums: { amountCents, purchases } }) =>
              `('${testDate}',${version},${userId},${amountCents},${purchases})`,
          )
          if (rows.length > 0) await database.query(`INSERT INTO revenue_versions VALUES ${rows.join(",")}`)
        }
        const ranges = cutAt(...cuts.toSorted((a, b) => (a < b ? -1 : 1)))
        const changes = await Array.fromAsync(
          listChanges(database.db, plainShop, testDate, { before: 1, after: 2 }, ranges),
        )
        expect(changes.map(({ userId }) => userId)).toEqual(expected(users))
        const backwards = await Array.fromAsync(listChanges(database.db, plainShop, testDate, { before: 2, after: 1 }))
        expect(backwards.map(({ userId }) => userId)).toEqual(expected(users))
      },
    ),
    { numRuns: 40 },
  )
})

test("the twenty users whose amounts differ most are told, and all are counted", () => {
  const tally = createTally()
  const change = (userId: number, before: bigint | undefined, after: bigint | undefined): UserChange => ({
    userId: BigInt(userId),
    currency: undefined,
    before: before === undefined ? undefined : toSums({ amount: before, purchases: 1 }),
    after: after === undefined ? undefined : toSums({ amount: after, purchases: 1 }),
  })
  for (let user = 1; user <= 30; user++) tally.add(change(user, 0n, BigInt(user)))
  tally.add(change(31, max, undefined))
  tally.add(change(32, undefined, -15n))
  expect(tally).toMatchObject({ added: 1n, changed: 30n, removed: 1n })
  const users = tally.largest.map(({ userId }) => Number(userId))
  expect(users).toEqual([31, ...Array.from({ length: 15 }, (_, n) => 30 - n), 15, 32, 14, 13])
  expect(formatChange(change(31, max, undefined))).toBe(
    '{"userId":"31","before":{"amountCents":"9223372036854775807","purchases":"1"},"after":null}',
  )
})
