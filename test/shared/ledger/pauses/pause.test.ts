import { beforeAll, expect, test } from "vitest"
import { createBackfill, findBackfill } from "../../../../shared/ledger/backfills/backfills.ts"
import { findPause, setBackfillPause, setPause } from "../../../../shared/ledger/pauses/pause.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"

const database = useTestDatabase()
const asker = { askedBy: null, via: null, note: null }
const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 6, 0, second))
const date = "2026-11-21"

beforeAll(() =>
  createBackfill(
    database.db,
    { backfillId: "1", fromDate: date, toDate: date, which: "all", runsAtOnce: 1, requestedAt: at(0), ...asker },
    [date],
  ),
)

test("of requests to pause everything the one that was published last counts, however late and often they come", async () => {
  const pause = (paused: boolean, second: number) =>
    setPause(database.db, { paused, untilAt: null, changedAt: at(second), ...asker })
  expect(await pause(false, 2)).toBe(true)
  expect(await pause(true, 1)).toBe(false)
  expect(await findPause(database.db)).toBeUndefined()
  for (const second of [3, 3]) expect(await pause(true, second)).toBe(true)
  expect(await findPause(database.db)).toMatchObject({ paused: true })
  expect(await pause(false, 4)).toBe(true)
})

test("of requests to pause a backfill, too; one that is not there is not paused", async () => {
  const pause = (paused: boolean, second: number) =>
    setBackfillPause(database.db, "1", { paused, changedAt: at(second) })
  expect(await pause(false, 2)).toBe(true)
  expect(await pause(true, 1)).toBe(false)
  expect((await findBackfill(database.db, "1"))?.state).toBe("at-work")
  for (const second of [3, 3]) expect(await pause(true, second)).toBe(true)
  expect((await findBackfill(database.db, "1"))?.state).toBe("paused")
  expect(await setBackfillPause(database.db, "2", { paused: true, changedAt: at(9) })).toBe(false)
})
