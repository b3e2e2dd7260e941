import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { runDaybook } from "../fixtures/run-daybook.ts"
import { type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

const dates = Array.from({ length: 8 }, (_, n) => `2026-10-0${n + 1}`)
// A user whose sum does not fit into 64 bits.
const broken = ["2026-10-03", "2026-10-06"]

let pipeline: Pipeline
beforeAll(async () => {
  pipeline = await startPipeline({ settings: { RUNS_MAX: "4" } })
  for (const date of dates) await pipeline.query(...purchasesOf(40, 2, date))
  for (const date of broken) {
    await pipeline.query(`INSERT INTO purchases (user_id, amount_cents, purchased_at)
      VALUES (1, 9223372036854775807, '${date} 10:00:00'), (1, 9223372036854775807, '${date} 11:00:00')`)
  }
})
afterAll(() => pipeline?.stop())

const daybook = (...args: string[]) => runDaybook(pipeline.cloud.env, ...args)

const daysOf = (backfillId: string) =>
  pipeline.query<{ date: string; state: string; reason: string | null }>(
    `SELECT CAST(revenue_date AS CHAR) AS date, state, reason FROM backfill_days WHERE backfill_id = '${backfillId}' ORDER BY position`,
  )
const stateOf = async (backfillId: string) => {
  const [row] = await pipeline.query<{ state: string }>(
    `SELECT state FROM backfills WHERE backfill_id = '${backfillId}'`,
  )
  return row?.state
}
const inState = (backfillId: string, state: string) =>
  vi.waitFor(async () => expect(await stateOf(backfillId)).toBe(state), { timeout: 40_000, interval: 50 })

test("what it would be is listed before it is asked for, with the dates and how they are", async () => {
  const { code, stdout } = await daybook("backfill", "2026-10-01..2026-10-08", "--dry-run", "--order", "oldest-first")
  expect(code).toBe(0)
  const lines = stdout.trimEnd().split("\n")
  for (const [n, date] of dates.entries()) {
    const [, purchases] = new RegExp(`^${date} +missing +~(\\d+) +~1$`).exec(lines[n + 1] ?? "") ?? []
    // Eighty of them, or two more.
    expect(Number(purchases)).toBeGreaterThanOrEqual(40)
    expect(Number(purchases)).toBeLessThanOrEqual(164)
  }
  expect(lines).toHaveLength(dates.length + 2)
  expect(lines.at(-1)).toBe("8 days, 2 runs at once")
  expect(await pipeline.query("SELECT 1 FROM backfills")).toEqual([])
})

test("a dry run of dates that have not all ended is refused as the request would be", async () => {
  const { code, stderr } = await daybook("backfill", "2026-10-01..2999-01-01", "--dry-run")
  expect(code).toBe(1)
  expect(stderr).toContain("has not ended yet")
})

test("every day of it is computed, never more at once than it says; those that fail stop no other and are named", async () => {
  let most = 0
  const watching = setInterval(() => {
    void pipeline
      .query("SELECT 1 FROM runs WHERE state IN ('waiting', 'planning', 'running', 'verifying')")
      .then((rows) => (most = Math.max(most, rows.length)))
  }, 10)
  const { code, stdout, stderr } = await daybook("backfill", "2026-10-01..2026-10-08", "--wait", "--note", "new rates")
  clearInterval(watching)
  expect(stderr).toMatch(/backfill \d+: \d of 8 days done, \d failed, 2 at work/)
  expect(code).toBe(1)
  expect(stdout).toContain("ended: 6 days done, 2 failed")
  for (const date of broken) expect(stdout).toMatch(new RegExp(`${date} +incomplete: .*does not fit into 64 bits`))
  expect(most).toBeLessThanOrEqual(2)
  const [backfill] = await pipeline.query<{ backfill_id: string }>("SELECT backfill_id FROM backfills")
  const days = await daysOf(backfill?.backfill_id ?? "")
  expect(days.map(({ date }) => date)).toEqual(dates.toReversed())
  for (const date of dates.filter((of) => !broken.includes(of))) await pipeline.expectRevenue(date)
  expect(await pipeline.query("SELECT 1 FROM runs WHERE version > 1")).toEqual([])
  expect(pipeline.verdicts().filter(({ note, via }) => note === "new rates" && via === "backfill")).toHaveLength(8)
})

test("one request fills what failed, once the reason is gone", async () => {
  await pipeline.query("DELETE FROM purchases WHERE amount_cents = 9223372036854775807")
  const id = await pipeline.publish("backfill-requests", { from: "2026-10-01", to: "2026-10-08", which: "incomplete" })
  await inState(id, "ended")
  expect(await daysOf(id)).toEqual(broken.toReversed().map((date) => ({ date, state: "done", reason: null })))
  for (const date of broken) await pipeline.expectRevenue(date)
})

test("cancelled, it asks for none of its days any more, and its runs are given up", async () => {
  const released = Promise.withResolvers<void>()
  const remove = pipeline.cloud.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.includes("/shards/"),
    before: () => released.promise,
  })
  const id = await pipeline.publish("backfill-requests", {
    from: "2026-10-01",
    to: "2026-10-08",
    which: "all",
    order: "oldest-first",
    runsAtOnce: 1,
  })
  await vi.waitFor(
    async () => expect(await pipeline.query("SELECT 1 FROM runs WHERE state = 'running'")).toHaveLength(1),
    { timeout: 20_000 },
  )
  await pipeline.publish("cancel-requests", { backfillId: id }, { askedBy: "Ada" })
  await inState(id, "cancelled")
  await vi.waitFor(
    async () => expect(await pipeline.query("SELECT 1 FROM runs WHERE state = 'cancelled'")).toHaveLength(1),
    { timeout: 20_000 },
  )
  remove()
  released.resolve()
  await vi.waitFor(
    async () => expect((await daysOf(id)).map(({ state }) => state)).toEqual(dates.map(() => "cancelled")),
    { timeout: 20_000 },
  )
  await pipeline.cloud.sweep()
  expect(await pipeline.query("SELECT 1 FROM runs WHERE state IN ('waiting', 'planning', 'running')")).toEqual([])
  for (const date of dates) await pipeline.expectRevenue(date)
})

test("a day that somebody else's run is at work on, which was asked for before that was known, comes after that run", async () => {
  const [date] = dates
  const released = Promise.withResolvers<void>()
  const remove = pipeline.cloud.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.includes("/shards/"),
    before: () => released.promise,
  })
  const other = await pipeline.publish("run-requests", { date })
  await vi.waitFor(
    async () => expect(await pipeline.query("SELECT 1 FROM runs WHERE state = 'running'")).toHaveLength(1),
    { timeout: 20_000 },
  )
  const id = await pipeline.publish("backfill-requests", { from: date, to: date, which: "all" })
  await vi.waitFor(async () => expect(await daysOf(id)).toMatchObject([{ state: "waiting" }]), { timeout: 20_000 })
  const requestId = await pipeline.publish("run-requests", { date }, { cause: `${date} backfill ${id}` })
  await pipeline.query(
    `UPDATE backfill_days SET state = 'asked', asked_at = NOW(3), request_id = '${requestId}' WHERE backfill_id = '${id}'`,
  )
  await vi.waitFor(async () => expect(await daysOf(id)).toMatchObject([{ state: "waiting" }]), { timeout: 20_000 })
  remove()
  released.resolve()
  expect(await pipeline.awaitVerdict(other)).toMatchObject({ verdict: "complete" })
  await inState(id, "ended")
  expect(await daysOf(id)).toEqual([{ date, state: "done", reason: null }])
  expect(pipeline.verdicts().filter((verdict) => verdict.requestId === requestId)).toEqual([])
})

test.each([
  [{ from: "2026-10-01", to: "2026-10-08" }, "no date from 2026-10-01 to 2026-10-08 is missing"],
  [{ from: "2026-10-08", to: "2026-10-01" }, "the date 2026-10-08 is after 2026-10-01"],
  [{ from: "2026-10-01", to: "2999-01-01" }, "the date 2999-01-01 has not ended yet"],
  [{ from: "2010-01-01", to: "2026-10-01" }, "are more than 3660 days"],
  [{ from: "2026-02-30", to: "2026-10-01" }, "the date 2026-02-30 does not exist"],
  [{ from: "2026-10-01", to: "2026-10-08", which: "some" }, '"which" is none of missing, incomplete, drifted, all'],
  [{ from: "2026-10-01", to: "2026-10-08", runsAtOnce: 0 }, '"runsAtOnce" is not from 1 to 100'],
  [{ from: "2026-10-01", to: "2026-10-08", order: "random" }, '"order" is neither'],
])("%j is rejected: %s", async (request, reason) => {
  const verdict = await pipeline.awaitVerdict(await pipeline.publish("backfill-requests", request))
  expect(verdict).toMatchObject({ verdict: "rejected", reason: expect.stringContaining(reason) as string })
})
