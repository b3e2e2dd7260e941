import { beforeEach, expect, test } from "vitest"
import { type DeadlineSettings, watchDeadline } from "../../../services/finalizer/duties/watch-deadline.ts"
import { listUnsentChanges, markChangeSent } from "../../../shared/ledger/days/day-changes.ts"
import { compute, finish } from "../../fixtures/play-run.ts"
import { useTestDatabase } from "../../fixtures/test-database.ts"
import { beginRun, cutAt } from "../../fixtures/test-run.ts"

const database = useTestDatabase()
beforeEach(() => database.forgetRuns())

const lines: string[] = []
const log = {
  info: (fields: object, message: string) => lines.push(`info ${message} ${JSON.stringify(fields)}`),
  error: (fields: object, message: string) => lines.push(`error ${message} ${JSON.stringify(fields)}`),
}

/** What the sweep tells at a moment: messages and lines. */
async function watchAt(now: string, settings: Partial<DeadlineSettings> = {}) {
  lines.length = 0
  const night = { REVENUE_TIME_ZONE: "Europe/Berlin", DEADLINE: "06:00", ...settings }
  await watchDeadline({ db: database.db, log: log as never, night, now: () => new Date(now) })
  const changes = await listUnsentChanges(database.db, 100)
  for (const { changeId } of changes) await markChangeSent(database.db, changeId)
  return { changes: changes.map(({ date, state, version }) => ({ date, state, version })), lines: [...lines] }
}

const nothing = { changes: [], lines: [] }

test("a day that nobody asked for is late at its deadline, in the shop's time zone, and told so once", async () => {
  // 06:00 in Berlin is 05:00 in winter and 04:00 in summer.
  expect(await watchAt("2026-11-23T04:59:59Z")).toEqual(nothing)
  expect(await watchAt("2026-11-23T05:00:00Z")).toEqual({
    changes: [{ date: "2026-11-22", state: "late", version: 0 }],
    lines: ['error a day is late {"date":"2026-11-22","deadline":"06:00"}'],
  })
  expect(await watchAt("2026-11-23T05:01:00Z")).toEqual(nothing)
  expect((await watchAt("2026-07-02T04:00:00Z")).changes).toEqual([{ date: "2026-07-01", state: "late", version: 0 }])
})

test.each([
  ["Asia/Tokyo", "2026-11-22T21:00:00Z", "2026-11-22"],
  ["America/Los_Angeles", "2026-11-23T14:00:00Z", "2026-11-22"],
  // Clocks go back at 03:00 and forward at 02:00: 02:30 comes twice, or not at all.
  ["Europe/Berlin 02:30", "2026-10-25T00:30:00Z", "2026-10-24"],
  ["Europe/Berlin 02:30", "2026-03-29T01:30:00Z", "2026-03-28"],
])("in %s the deadline is at %s", async (where, at, date) => {
  const [zone = "", DEADLINE = "06:00"] = where.split(" ")
  const settings = { REVENUE_TIME_ZONE: zone, DEADLINE }
  const before = new Date(Date.parse(at) - 1_000).toISOString()
  expect((await watchAt(before, settings)).changes).toEqual([])
  expect((await watchAt(at, settings)).changes).toEqual([{ date, state: "late", version: 0 }])
})

test("a late day that is there at last is told once, whichever day it is by then", async () => {
  await watchAt("2026-11-23T06:00:00Z")
  const run = await beginRun(database.db, cutAt())
  await compute(database.db, run, 0)
  expect(await watchAt("2026-11-23T06:30:00Z")).toEqual(nothing)
  await finish(database.db, run)
  const told = await watchAt("2026-11-25T01:00:00Z")
  expect(told.changes).toEqual([
    { date: "2026-11-22", state: "shown", version: 1 },
    { date: "2026-11-22", state: "arrived", version: 1 },
  ])
  expect(told.lines).toEqual(['info a day that was late is there {"date":"2026-11-22","version":1}'])
  expect(await watchAt("2026-11-25T01:01:00Z")).toEqual(nothing)
})

test("a day that is there in time, and any day without a deadline, is not told", async () => {
  const run = await beginRun(database.db, cutAt())
  await compute(database.db, run, 0)
  await finish(database.db, run)
  expect((await watchAt("2026-11-23T06:00:00Z")).changes).toEqual([{ date: "2026-11-22", state: "shown", version: 1 }])
  expect(await watchAt("2026-11-24T23:00:00Z", { DEADLINE: undefined })).toEqual(nothing)
})

test("a late day that comes is announced, however many days before it never came", async () => {
  for (let n = 0; n < 120; n++) {
    const never = new Date(Date.UTC(2026, 0, 1 + n)).toISOString().slice(0, 10)
    await database.query(`INSERT INTO days (revenue_date, late_at) VALUES ('${never}', '${never} 06:00:00')`)
  }
  const run = await beginRun(database.db, cutAt())
  expect((await watchAt("2026-11-23T06:00:00Z")).changes).toEqual([{ date: "2026-11-22", state: "late", version: 0 }])
  await compute(database.db, run, 0)
  await finish(database.db, run)
  expect((await watchAt("2026-11-23T07:00:00Z")).changes.map(({ state }) => state)).toEqual(["shown", "arrived"])
})
