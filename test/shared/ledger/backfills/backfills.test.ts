import { expect, test } from "vitest"
import {
  countBackfillDays,
  createBackfill,
  endBackfill,
  listBackfillDays,
  moveBackfillDay,
} from "../../../../shared/ledger/backfills/backfills.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"

const database = useTestDatabase()
const date = "2026-11-21"

/** A backfill of one day, which has been asked for. */
async function askForDay(backfillId: string) {
  const { db } = database
  const asker = { askedBy: null, via: null, note: null }
  const range = { fromDate: date, toDate: date, which: "all" as const, runsAtOnce: 1, requestedAt: new Date() }
  for (let delivery = 1; delivery <= 2; delivery++) {
    await createBackfill(db, { backfillId, ...range, ...asker }, [date])
  }
  const [day] = await listBackfillDays(db, backfillId, "waiting", 10)
  if (!day) throw new Error("no day waits")
  expect(await moveBackfillDay(db, day, { state: "asked" })).toBe(true)
  expect(await moveBackfillDay(db, day, { state: "asked" })).toBe(false)
  return { ...day, state: "asked" as const }
}

test("a day that was asked for waits again while its backfill is at work", async () => {
  const day = await askForDay("1")
  expect(await moveBackfillDay(database.db, day, { state: "waiting", requestId: null })).toBe(true)
  expect(await countBackfillDays(database.db, "1")).toMatchObject({ waiting: 1, asked: 0 })
})

test("in a backfill that was cancelled meanwhile no day waits any more", async () => {
  const day = await askForDay("2")
  expect(await endBackfill(database.db, "2", "cancelled")).toBe(true)
  expect(await moveBackfillDay(database.db, day, { state: "waiting", requestId: null })).toBe(false)
  expect(await countBackfillDays(database.db, "2")).toMatchObject({ waiting: 0, asked: 1 })
})
