import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { findYesterday } from "../../shared/day/revenue-day.ts"
import { topics } from "../../shared/messages/topics.ts"
import { type Pipeline, purchasesOf, startPipeline } from "../fixtures/start-pipeline.ts"

let pipeline: Pipeline
// The newest day there can be, which is repaired by itself, and one whose books are closed.
const newest = findYesterday(new Date(), "UTC").date
const old = "2026-01-15"
const wait = { timeout: 60_000, interval: 50 }

beforeAll(async () => {
  pipeline = await startPipeline({ sweepSeconds: 1 })
  for (const of of [newest, old]) {
    await pipeline.query(...purchasesOf(60, 4, of))
    await pipeline.start(of)
  }
})
afterAll(() => pipeline.stop())

const changes = (of: string) => pipeline.dayChanges(of)
const statesOf = (date: string) => changes(date).map(({ state }) => state)
const merge = (of: string) =>
  pipeline.query(`UPDATE purchases SET user_id = 8 WHERE user_id = 15 AND purchased_on = '${of}'`)

async function audit(request: unknown) {
  const id = await pipeline.publish(topics.auditRequests, request)
  return vi.waitFor(async () => {
    const rows = await pipeline.query<{ revenue_date: string; state: string; document: string }>(
      `SELECT revenue_date, state, document FROM audits WHERE request_id = '${id}' ORDER BY revenue_date`,
    )
    expect(rows.length).toBeGreaterThan(0)
    expect(rows.every(({ state }) => ["same", "drifted"].includes(state))).toBe(true)
    return rows
  }, wait)
}

test("a day shown for the first time is told with what readers see", async () => {
  await vi.waitFor(() => expect(statesOf(old)).toEqual(["shown"]), wait)
  const [shown] = changes(old)
  const [day] = await pipeline.query<{ users: number; amount: string }>(
    `SELECT COUNT(*) AS users, SUM(amount_cents) AS amount FROM revenue WHERE revenue_date = '${old}'`,
  )
  expect(shown).toMatchObject({ version: 1, after: { users: BigInt(day?.users ?? 0), amountCents: day?.amount } })
  expect(shown?.before).toBeUndefined()
})

test("audits of a range find every published day the same, and tell nobody", async () => {
  const rows = await audit({ from: old, to: newest })
  expect(rows.map(({ state }) => state)).toEqual(["same", "same"])
  expect([statesOf(old), statesOf(newest)]).toEqual([["shown"], ["shown"]])
})

test("an account that is merged after the verdict is found in an old day, told once, and the day is left as it was", async () => {
  await merge(old)
  const [row] = await audit({ date: old })
  expect(row?.state).toBe("drifted")
  await vi.waitFor(() => expect(statesOf(old)).toEqual(["shown", "drifted"]), wait)
  const [, drifted] = changes(old)
  const path = drifted?.document?.replace("gs://daybook/", "") ?? ""
  const document = JSON.parse(await readFile(join(pipeline.cloud.folder, "bucket", "daybook", path), "utf8")) as {
    drifted: { users: { userId: string }[] }[]
  }
  expect(document.drifted.flatMap(({ users }) => users.map(({ userId }) => userId))).toEqual(["8", "15"])
  await audit({ date: old })
  await pipeline.cloud.sweep()
  expect(statesOf(old)).toEqual(["shown", "drifted"])
  const runs = await pipeline.query(`SELECT 1 FROM runs WHERE revenue_date = '${old}'`)
  expect(runs).toHaveLength(1)
})

test("a recent day that has drifted is started anew by itself, once, and told to be repaired", async () => {
  await merge(newest)
  await audit({ date: newest })
  await vi.waitFor(() => expect(statesOf(newest)).toEqual(["shown", "drifted", "repaired"]), wait)
  await pipeline.expectRevenue(newest)
  const repaired = changes(newest)[2]
  expect(repaired).toMatchObject({ version: 2, previousVersion: 1, before: changes(newest)[0]?.after })
  await pipeline.cloud.sweep()
  await audit({ date: newest })
  const runs = await pipeline.query(`SELECT repair_of FROM runs WHERE revenue_date = '${newest}' ORDER BY version`)
  expect(runs).toEqual([{ repair_of: null }, { repair_of: expect.stringContaining(newest) as string }])
  expect(statesOf(newest)).toEqual(["shown", "drifted", "repaired"])
})

test.each([
  [{ date: "2026-02-30" }, "does not exist"],
  [{ date: "2026-01-16" }, "the date 2026-01-16 is not published"],
  [{ from: "2026-01-16", to: "2026-01-15" }, "is after"],
  [{ from: "2016-01-16", to: "2026-12-15" }, "more than 3660 days"],
  [{ date: "2026-01-15", to: "2026-01-15" }, 'of {"date":…} or of'],
  [{}, 'of {"date":…} or of'],
])("a request that can never be carried out, such as %j, is rejected with the reason", async (request, reason) => {
  const verdict = await pipeline.awaitVerdict(await pipeline.publish(topics.auditRequests, request))
  expect(verdict).toMatchObject({ verdict: "rejected" })
  expect(verdict.reason).toContain(reason)
})

test("the sweep audits the newest published days once in a night, but for the one of that night", async () => {
  const night = await startPipeline({ sweepSeconds: 0, settings: { AUDIT_DAYS: "2" } })
  try {
    const dates = ["2026-01-10", "2026-01-11", "2026-01-12", newest]
    for (const of of dates) {
      await night.query(...purchasesOf(5, 2, of))
      await night.start(of)
    }
    const audited = () =>
      night.query<{ date: string }>(
        "SELECT CAST(revenue_date AS CHAR) AS date FROM audits WHERE state = 'same' ORDER BY 1",
      )
    await night.cloud.sweep()
    expect((await audited()).map(({ date }) => date)).toEqual(["2026-01-11", "2026-01-12"])
    await night.cloud.sweep()
    expect(await audited()).toHaveLength(2)
  } finally {
    await night.stop()
  }
})
