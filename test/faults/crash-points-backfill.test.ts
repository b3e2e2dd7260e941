import { setTimeout as wait } from "node:timers/promises"
import { expect } from "vitest"
import { startFaultCloud } from "./fault-cloud.ts"
import { findFaults, readShop } from "./invariants.ts"
import { proveCrashPoints } from "./prove-crash-points.ts"
import { createRandom, suiteSeed } from "./random.ts"
import { changePrices, fillDate } from "./shop-days.ts"
import { tally } from "./tally.ts"
import { date, testWithTwoDays } from "./two-days.ts"

const DAYS = 60
const dates = Array.from({ length: DAYS }, (_, n) => new Date(Date.UTC(2026, 3, 1 + n)).toISOString().slice(0, 10))
const broken = [dates[11], dates[40]] as string[]
/** Of so many refunds that a check holds it. */
const held = dates[25] as string
const KILLS = 16

const test = testWithTwoDays()

test("planner or finalizer that dies at any call of a backfill, or is refused any statement of a transaction, leaves it to end as if it had not", async ({
  cloud,
}) => {
  await proveCrashPoints(cloud, {
    pointsMin: 60,
    refusalsMin: 110,
    name: "backfill",
    date,
    callers: /^(planner|finalizer)$/,
    arrange: () => changePrices(cloud.connection, date),
    play: async () => {
      const id = await cloud.publish("backfill-requests", { from: date, to: date, which: "all" })
      await cloud.waitFor("the backfill's end", async () => {
        const [row] = await cloud.query("SELECT state FROM backfills WHERE backfill_id = ?", [id])
        return row?.["state"] === "ended" || undefined
      })
      const [day] = await cloud.query("SELECT state FROM backfill_days WHERE backfill_id = ?", [id])
      expect(day).toEqual({ state: "done" })
      const [runs] = await cloud.query("SELECT COUNT(*) AS runs FROM runs WHERE backfill_id = ?", [id])
      expect(Number(runs?.["runs"])).toBe(1)
    },
  })
})

test("a backfill of 60 days comes right: planner and finalizer killed all the while, paused and resumed, two days fail, one is held", async () => {
  const cloud = await startFaultCloud({ parallelism: 2, patienceMs: 240_000, settings: { RUNS_MAX: "4" } })
  try {
    for (const day of dates) await fillDate(cloud.connection, day, day === held ? 400 : undefined)
    await cloud.query("UPDATE purchases SET amount_cents = -100 - amount_cents WHERE purchased_on = ?", [held])
    for (const day of broken) {
      await cloud.query("INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (7, ?, ?), (7, ?, ?)", [
        "9223372036854775807",
        `${day} 05:00:00`,
        "9223372036854775807",
        `${day} 06:00:00`,
      ])
    }
    const startedAt = Date.now()
    const countDays = async (state: string) => {
      const [row] = await cloud.query("SELECT COUNT(*) AS days FROM backfill_days WHERE state = ?", [state])
      return Number(row?.["days"])
    }
    const backfillId = await cloud.publish("backfill-requests", { from: dates[0], to: dates.at(-1), runsAtOnce: 3 })
    const killing = killAllTheWhile()
    await cloud.waitFor("the first days", async () => ((await countDays("done")) >= 3 ? true : undefined))
    await cloud.publish("pause-requests", { paused: true })
    await cloud.waitFor("the pause", async () => {
      const [control] = await cloud.query("SELECT paused FROM controls")
      return Number(control?.["paused"]) === 1 && cloud.cloud.runJobs.tasks().length === 0 ? true : undefined
    })
    expect(await countDays("done")).toBeLessThan(DAYS)
    await cloud.publish("pause-requests", { paused: false })
    await cloud.waitFor("the backfill's end", async () => {
      const [row] = await cloud.query("SELECT state FROM backfills WHERE backfill_id = ?", [backfillId])
      return row?.["state"] === "ended" || undefined
    })
    await killing
    await cloud.waitUntilIdle()

    const days = await cloud.query<{ date: string; state: string }>(
      "SELECT CAST(revenue_date AS CHAR) AS date, state FROM backfill_days WHERE backfill_id = ? ORDER BY revenue_date",
      [backfillId],
    )
    const isDone = (day: string) => !broken.includes(day) && day !== held
    expect(days).toEqual(dates.map((day) => ({ date: day, state: isDone(day) ? "done" : "failed" })))
    const [heldDay] = await cloud.query<{ reason: string }>(
      "SELECT reason FROM backfill_days WHERE backfill_id = ? AND revenue_date = ?",
      [backfillId, held],
    )
    expect(heldDay?.reason).toMatch(/^held: held by a check, and not shown: negative-day: /)
    const released = await cloud.awaitVerdict(await cloud.publish("release-requests", { date: held }))
    expect(released).toMatchObject({ verdict: "complete" })
    await cloud.waitUntilIdle()
    // However often it was asked for, each day is one run.
    expect(await cloud.query("SELECT 1 FROM runs WHERE version > 1")).toEqual([])
    const faults: string[] = []
    for (const day of dates) {
      const complete = !broken.includes(day)
      const rows = complete ? await readShop(cloud.connection, day) : []
      faults.push(...(await findFaults(cloud.evidence(), day, { rows, complete })))
    }
    tally({
      kind: "message fault",
      name: "a backfill of 60 days",
      faults,
      seconds: Math.round((Date.now() - startedAt) / 1_000),
    })
    expect(faults).toEqual([])
  } finally {
    await cloud.stop()
  }

  async function killAllTheWhile(): Promise<void> {
    const random = createRandom(suiteSeed)
    for (let kill = 0; kill < KILLS; kill++) {
      await wait(200 + random.below(700))
      const { planner, finalizer } = cloud.cloud.services
      const { pid } = random.pick([planner, finalizer])
      if (pid !== undefined) process.kill(pid, "SIGKILL")
    }
  }
})
