import { beforeEach, expect, test } from "vitest"
import { fillGaps, type GapSettings } from "../../../services/finalizer/duties/fill-gaps.ts"
import { compute, finish } from "../../fixtures/play-run.ts"
import { useTestDatabase } from "../../fixtures/test-database.ts"
import { beginRun, cutAt } from "../../fixtures/test-run.ts"

const database = useTestDatabase()
beforeEach(() => database.forgetRuns())

let isDown = false

/** What the sweep asks for at a moment: date and cause of each request. */
async function sweepAt(now: Date, settings: Partial<GapSettings> = {}): Promise<string[]> {
  const asked: string[] = []
  const runRequests = {
    publishMessage: async ({ data, attributes }: { data: Buffer; attributes: Record<string, string> }) => {
      if (isDown) throw new Error("Pub/Sub is away")
      const { date } = JSON.parse(data.toString()) as { date: string }
      expect(attributes).toMatchObject({ askedBy: "daybook", via: "gap" })
      asked.push(`${date}: ${attributes["cause"]}`)
    },
  }
  await fillGaps({
    db: database.db,
    log: { warn: () => {} } as never,
    night: { REVENUE_TIME_ZONE: "UTC", FIRST_DATE: "2026-11-18", ...settings },
    runRequests: runRequests as never,
    now: () => now,
  })
  return asked
}

async function show(revenueDate: string): Promise<void> {
  const run = await beginRun(database.db, cutAt(), { revenueDate })
  await compute(database.db, run, 0)
  await finish(database.db, run)
}

// The ledger's times are the database's clock: moments are told from now on.
const later = (minutes: number) => new Date(Date.now() + minutes * 60_000)
const dayOf = (at: Date, days: number) => new Date(at.getTime() + days * 86_400_000).toISOString().slice(0, 10)

test("nobody asks where no first date is set, nor for what is there or being computed", async () => {
  expect(await sweepAt(new Date("2026-11-23T12:00:00Z"), { FIRST_DATE: undefined })).toEqual([])
  for (const date of ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-22"]) await show(date)
  await beginRun(database.db, cutAt(), { revenueDate: "2026-11-21" })
  expect(await sweepAt(new Date("2026-11-23T12:00:00Z"))).toEqual([])
})

test("missing days are asked for, yesterday first, a few at a time; yesterday not before somebody could have", async () => {
  await show("2026-11-20")
  expect(await sweepAt(new Date("2026-11-23T02:59:00Z"))).toEqual([
    "2026-11-21: 2026-11-21 gap 1",
    "2026-11-19: 2026-11-19 gap 1",
  ])
  await database.query("DELETE FROM days")
  await beginRun(database.db, cutAt(), { revenueDate: "2026-11-19" })
  expect(await sweepAt(new Date("2026-11-23T03:01:00Z"))).toEqual(["2026-11-22: 2026-11-22 gap 1"])
})

test("a backfill that takes weeks does not keep missing days from being asked for", async () => {
  for (const revenueDate of ["2026-11-18", "2026-11-19"]) {
    await beginRun(database.db, cutAt(), { revenueDate, cause: `${revenueDate} backfill 1` })
  }
  expect(await sweepAt(new Date("2026-11-23T04:00:00Z"))).toEqual([
    "2026-11-22: 2026-11-22 gap 1",
    "2026-11-21: 2026-11-21 gap 1",
  ])
})

test("a day that does not come is asked for three times, half an hour apart, and then is a person's", async () => {
  const first = dayOf(later(0), -2)
  const options = { FIRST_DATE: first }
  const dates: string[] = []
  for (const minutes of [0, 10, 31, 62, 93, 124]) {
    const at = new Date(`${dayOf(later(0), 0)}T00:10:00Z`)
    const now = new Date(Math.max(at.getTime(), later(minutes).getTime()))
    dates.push(...(await sweepAt(now, options)).filter((line) => line.startsWith(first)))
  }
  expect(dates).toEqual([1, 2, 3].map((n) => `${first}: ${first} gap ${n}`))
})

test("a sweep that dies between asking and writing that down asks for the same try again", async () => {
  const now = new Date("2026-11-23T02:00:00Z")
  isDown = true
  await expect(sweepAt(now)).rejects.toThrow("Pub/Sub is away")
  isDown = false
  expect(await sweepAt(now)).toEqual(["2026-11-21: 2026-11-21 gap 1", "2026-11-20: 2026-11-20 gap 1"])
})
