import { beforeEach, describe, expect, test, vi } from "vitest"
import { recordDuties } from "../../shared/ledger/duties/duties.ts"
import { closeRun } from "../../shared/ledger/runs/close-run.ts"
import type { NewRun } from "../../shared/ledger/runs/create-run.ts"
import { decideRun } from "../../shared/ledger/runs/decide-run.ts"
import { recordExecution } from "../../shared/ledger/runs/record-execution.ts"
import { claim, compute, fail, finish } from "../fixtures/play-run.ts"
import { typeCommand, WAIT } from "../fixtures/start-cli.ts"
import { useTestDatabase } from "../fixtures/test-database.ts"
import { beginRun, cutAt, testDate } from "../fixtures/test-run.ts"

const database = useTestDatabase()
beforeEach(() => database.forgetRuns())

const status = (...args: string[]) =>
  typeCommand(["status", ...args], { DATABASE_URL: database.url, BUCKET: "daybook", LOCAL_FOLDER: "/data" })

/** A run of three shards: one computed, one failed, one that its task still has. */
async function beginMixedRun(overrides: Partial<NewRun> = {}) {
  const run = await beginRun(database.db, cutAt(100n, 200n), overrides)
  await recordExecution(database.db, run.runId, 0, "daybook-worker-abcde")
  await compute(database.db, run, 0, 9_007_199_254_740_993n)
  await fail(database.db, run, 1, "Out of range value")
  await claim(database.db, run, 2, 5)
  return run
}

test("without runs it says how to start one", async () => {
  expect(await status()).toMatchObject({ code: 0, stdout: expect.stringContaining("start yesterday") as string })
})

test("the list has the newest run first, at most as many as asked for, and marks the version that readers see", async () => {
  const older = await beginRun(database.db, cutAt(), { requestedAt: new Date("2026-11-23T01:00:00Z") })
  await compute(database.db, older, 0)
  await finish(database.db, older)
  const newer = await beginRun(database.db, cutAt(5n), { requestedAt: new Date("2026-11-23T03:00:00Z") })
  const { runs } = JSON.parse((await status("--runs", "--json")).stdout) as { runs: Record<string, unknown>[] }
  expect(runs).toMatchObject([
    { runId: newer.runId, version: 2, state: "running", published: false, shardCount: 2, done: 0, rows: "0" },
    { runId: older.runId, version: 1, state: "complete", published: true, done: 1, purchases: "1000" },
  ])
  const lines = (await status("--runs", "--limit", "1")).stdout.trimEnd().split("\n")
  expect(lines).toHaveLength(2)
  expect(lines[1]).toMatch(new RegExp(`^${testDate} +2 +running +no +0/2 .* ${newer.runId}$`))
})

describe("the days", () => {
  const rowsOf = (stdout: string) => stdout.trimEnd().split("\n").slice(1)

  test("are listed newest first, with what readers see, and a line for each that nobody asked for", async () => {
    const shown = await beginRun(database.db, cutAt())
    await compute(database.db, shown, 0)
    await finish(database.db, shown)
    const broken = await beginMixedRun({ revenueDate: "2026-11-20" })
    await finish(database.db, broken, [{ index: 1, reason: "Out of range value" }])
    await beginRun(database.db, cutAt(), { revenueDate: "2026-11-23" })
    const { code, stdout } = await status("--to", "2026-11-23")
    expect(code).toBe(0)
    const lines = rowsOf(stdout)
    expect(lines).toEqual([
      expect.stringMatching(/^2026-11-23 +running *$/),
      expect.stringMatching(/^2026-11-22 +shown +1 +\d{4}-\d{2}-\d{2} \d{2}:\d{2} *$/),
      expect.stringMatching(/^2026-11-21 +missing +start 2026-11-21$/),
      expect.stringMatching(/^2026-11-20 +incomplete +rerun 2026-11-20$/),
    ])
  })

  test("are those of a window, also before anything was asked for, with every digit as JSON", async () => {
    await decideRun(database.db, await verifiedRun(), {
      state: "complete",
      verdict: "{}",
      totals: { rows: 4n, purchases: 2_000n, amountCents: 9_007_199_254_740_993n, parts: [] },
    })
    const { days } = JSON.parse((await status("--from", "2026-11-20", "--to", "2026-11-22", "--json")).stdout) as {
      days: Record<string, unknown>[]
    }
    expect(days).toMatchObject([
      {
        date: "2026-11-22",
        state: "shown",
        shown: { version: 1, users: "4", amountCents: "9007199254740993" },
        wants: null,
      },
      { date: "2026-11-21", state: "missing", shown: null, newest: null, wants: "start 2026-11-21" },
      { date: "2026-11-20", state: "missing" },
    ])
  })

  test("of a drifted, an incomplete and a late day say what they want", async () => {
    const run = await beginRun(database.db, cutAt())
    await compute(database.db, run, 0)
    await finish(database.db, run)
    await database.query("UPDATE published_days SET state = 'drifted'")
    await database.query("INSERT INTO days (revenue_date, late_at) VALUES ('2026-11-23', NOW(3))")
    const [late, drifted] = rowsOf((await status("--to", "2026-11-23")).stdout)
    expect(late).toMatch(/^2026-11-23 +missing, late +start 2026-11-23$/)
    expect(drifted).toMatch(/^2026-11-22 +drifted +1 .*start 2026-11-22: the shop has other purchases by now$/)
    const second = await beginMixedRun()
    await finish(database.db, second, [{ index: 1, reason: "Out of range value" }])
    await database.query("UPDATE published_days SET state = 'shown'")
    const [, shown] = rowsOf((await status("--to", "2026-11-23")).stdout)
    expect(shown).toMatch(/^2026-11-22 +shown +1 .*rerun 2026-11-22: version 2 is incomplete$/)
  })

  async function verifiedRun() {
    const run = await beginRun(database.db, cutAt())
    await compute(database.db, run, 0)
    await closeRun(database.db, run)
    return run
  }
})

test("a run at work is shown with its shards by state, what they add up to, and what has failed where", async () => {
  const run = await beginMixedRun()
  const { code, stdout } = await status(testDate)
  expect(code).toBe(0)
  expect(stdout).toContain(`run ${run.runId}: running`)
  expect(stdout).toContain("3: 1 claimed, 1 done, 1 failed")
  expect(stdout).toContain("read by day-slice of the index purchases_day_slice")
  expect(stdout).toContain("2 rows of 1,000 purchases, amount 90,071,992,547,409.93, so far")
  expect(stdout).toMatch(/failed +shard 1 +Out of range value \(log: \/data\/logs\/daybook-worker-abcde\/1-0\.log\)/)
  expect(stdout).toContain(`gs://daybook/runs/${testDate}/${run.runId}/plan.json`)
  expect(stdout).toContain(`/data/bucket/daybook/runs/${testDate}/${run.runId}`)
  expect(stdout).toContain("execution daybook-worker-abcde, logs in /data/logs/daybook-worker-abcde")
})

test("--json keeps every digit and has the ledger, the faults and the places of the documents", async () => {
  const run = await beginMixedRun()
  expect(JSON.parse((await status(run.runId, "--json")).stdout)).toMatchObject({
    runId: run.runId,
    state: "running",
    shards: { offered: 0, claimed: 1, done: 1, failed: 1, missing: 0 },
    tasks: 1,
    totals: { rows: "2", purchases: "1000", amountCents: "9007199254740993" },
    faults: [{ index: 1, fault: "failed", reason: "Out of range value" }],
    dispatches: [{ dispatch: 0, execution: "daybook-worker-abcde" }],
    documents: { verdict: `gs://daybook/runs/${testDate}/${run.runId}/verdict.json` },
    verdict: null,
  })
})

test("an incomplete run is shown with the verdict's faults and the exact message that reruns them", async () => {
  const run = await beginMixedRun()
  await finish(database.db, run, [{ index: 1, reason: "Out of range value" }])
  const { stdout } = await status(run.runId)
  expect(stdout).toContain(`run ${run.runId}: incomplete`)
  expect(stdout).toContain("1 done, 1 failed, 1 missing")
  expect(stdout).toContain(`npm run daybook -- rerun ${run.runId}`)
  expect(stdout).toContain(`or publish to rerun-requests: {"runId":"${run.runId}","shards":[1]}`)
})

test("--watch follows a run to its verdict and then shows it", async () => {
  const run = await beginRun(database.db, cutAt())
  const typed = status(testDate, "--watch")
  await vi.waitFor(() => expect(typed.seen().stderr).toContain("running 0/1 shards"), WAIT)
  await compute(database.db, run, 0)
  await finish(database.db, run)
  const { code, stdout } = await typed
  expect(code).toBe(0)
  expect(stdout).toContain(`run ${run.runId}: complete`)
  expect(stdout).toContain("shown to readers")
})

test("an unknown run or date is an error that says what to do, as JSON too", async () => {
  expect(await status("2026-11-22-nope")).toMatchObject({ code: 1, stdout: "" })
  const { code, stdout, stderr } = await status("2001-01-01", "--json")
  expect(code).toBe(1)
  expect(stderr).toContain("There is no run of 2001-01-01: npm run daybook -- start 2001-01-01")
  expect(JSON.parse(stdout)).toEqual({ error: stderr.trimEnd() })
})

test("a duty of the sweep that failed three times in a row is told with its reason and what to do", async () => {
  const failure = { name: "prune-versions" as const, succeededAt: undefined, lastError: "DELETE command denied" }
  const failingSince = new Date("2026-11-23T12:00:00Z")
  await recordDuties(database.db, [{ ...failure, failures: 2, failingSince }])
  expect((await status()).stdout).not.toContain("prune-versions")
  await recordDuties(database.db, [{ ...failure, failures: 1, failingSince: new Date("2026-11-23T12:02:00Z") }])
  const { code, stdout } = await status()
  expect(code).toBe(0)
  expect(stdout.split("\n").slice(1)).toEqual([
    "Needs attention: prune-versions failed 3 times in a row since 2026-11-23 12:00. Meanwhile rows of old versions stay in the database.",
    "  Error: DELETE command denied",
    expect.stringMatching(/^ {2}Next: Fix the cause\..*jsonPayload\.duty="prune-versions"/) as string,
    "",
  ])
  const { failingDuties } = JSON.parse((await status("--json")).stdout) as { failingDuties: unknown[] }
  expect(failingDuties).toMatchObject([
    { name: "prune-versions", failures: 3, failingSince: "2026-11-23T12:00:00.000Z", succeededAt: null },
  ])
})
