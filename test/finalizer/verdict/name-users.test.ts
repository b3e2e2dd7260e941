import { afterAll, beforeAll, expect, test } from "vitest"
import type { Finding } from "../../../services/finalizer/verdict/judge-run.ts"
import { nameUsers } from "../../../services/finalizer/verdict/name-users.ts"
import { insertTotals } from "../../../shared/day/revenue-rows.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { createTestDatabase, insertPurchases, shopTables, type TestDatabase } from "../../fixtures/test-database.ts"
import { newRun } from "../../fixtures/test-run.ts"
import { unthrottled } from "../../fixtures/unthrottled.ts"

const at = "2026-11-22 10:00:00"
const run = { ...newRun({ requestId: "1" }), version: 1 } as ShopRun
const ranges = [{ to: 100n }, { from: 100n }]
const drifted = (index: number): Finding => ({ index, kind: "drifted", reason: "the sums differ" })
let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
  await database.query(...shopTables)
  const users = Array.from({ length: 50 }, (_, user): [number, number, string] => [user + 1, 10, at])
  await database.query(insertPurchases([...users, [200, 7, at]]))
  await insertTotals(database.db, run, run, {})
})
afterAll(() => database.drop())

const sums = (amountCents: bigint, purchases: bigint) => ({ amountCents, purchases, measures: {} })

const name = (...findings: Finding[]) => nameUsers(database.db, database.db, run, ranges, findings, unthrottled)

test("a purchase given to another user names both, with what Revenue and the shop have of them", async () => {
  await database.query("UPDATE purchases SET user_id = 4 WHERE user_id = 3")
  const [finding, other] = await name(drifted(0), { index: 1, kind: "corrupt", reason: "rows differ" })
  expect(finding).toEqual({
    index: 0,
    kind: "drifted",
    reason:
      "the sums differ; 2 users differ: 3 (Revenue has 10 of 1, the shop nothing), 4 (Revenue has 10 of 1, the shop 20 of 2)",
    usersDiffering: 2n,
    users: [
      { userId: 3n, currency: undefined, before: sums(10n, 1n), after: undefined },
      { userId: 4n, currency: undefined, before: sums(10n, 1n), after: sums(20n, 2n) },
    ],
  })
  expect(other).toEqual({ index: 1, kind: "corrupt", reason: "rows differ" })
})

test("the first twenty are named and all are counted", async () => {
  await database.query("UPDATE purchases SET amount_cents = 11 WHERE user_id BETWEEN 20 AND 50")
  const [finding] = await name(drifted(0))
  expect(finding?.usersDiffering).toBe(33n)
  expect(finding?.users?.map(({ userId }) => userId)).toEqual([
    3n,
    4n,
    ...Array.from({ length: 18 }, (_, n) => BigInt(20 + n)),
  ])
})

test("a shop that is as it was again is said to be", async () => {
  const [finding] = await name(drifted(1))
  expect(finding).toMatchObject({ usersDiffering: 0n, users: [] })
  expect(finding?.reason).toContain("the shop was again as it was computed")
})
