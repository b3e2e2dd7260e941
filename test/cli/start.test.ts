import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { formatJson } from "../../schemas/json.ts"
import { RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import { rejectionPath } from "../../shared/documents/document-paths.ts"
import { createDocument } from "../../shared/documents/documents.ts"
import { abandonRun } from "../../shared/ledger/runs/abandon-run.ts"
import { markAnnounced } from "../../shared/ledger/runs/announce-run.ts"
import { createRun } from "../../shared/ledger/runs/create-run.ts"
import type { Run } from "../../shared/ledger/runs/find-runs.ts"
import { openNextDispatch } from "../../shared/ledger/runs/open-next-dispatch.ts"
import { createLog } from "../../shared/telemetry/log.ts"
import { claim, compute, decide, fail, finish, reread } from "../fixtures/play-run.ts"
import { type Cli, startCli, WAIT } from "../fixtures/start-cli.ts"
import { beginRun, cutAt, newRun } from "../fixtures/test-run.ts"

let cli: Cli
let asked = 0

beforeAll(async () => {
  cli = await startCli()
})
afterAll(() => cli.stop())

const db = () => cli.database.db

/** A date of its own for each test, so that no run is in another's way. */
let day = 0
const nextDate = () => `2026-10-${String(++day).padStart(2, "0")}`

/** Waits for the request and begins its run, as the planner would. */
async function beginRequested(date: string, ranges = cutAt(100n)): Promise<Run> {
  const { messageId } = await cli.published("run-requests", ++asked)
  return beginRun(db(), ranges, { runId: `${date}-${messageId}`, revenueDate: date, requestId: messageId })
}

async function reject(topic: string, messageId: string, reason: string): Promise<void> {
  const rejection = { verdict: "rejected", requestId: messageId, decidedAt: new Date().toISOString(), reason }
  const log = await createLog("test", "silent")
  await createDocument(cli.bucket, rejectionPath(topic, messageId), formatJson(RunVerdictSchema, rejection), { log })
}

test("start publishes the date and prints the ids of message and run, with no database in the environment", async () => {
  const { DATABASE_URL: _, ...env } = cli.env
  const { typeCommand } = await import("../fixtures/start-cli.ts")
  const { code, stdout, stderr } = await typeCommand(["start", "2026-11-22"], env)
  const { messageId, data } = await cli.published("run-requests", ++asked)
  expect(data).toEqual({ date: "2026-11-22" })
  expect(stdout).toContain(`message ${messageId}, run 2026-11-22-${messageId}`)
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
})

test("start --json prints one document, without a run's id for yesterday", async () => {
  const { stdout } = await cli.daybook("start", "yesterday", "--json")
  const { messageId, data } = await cli.published("run-requests", ++asked)
  expect(data).toEqual({ date: "yesterday" })
  expect(JSON.parse(stdout)).toEqual({ requestId: messageId })
})

test("--wait shows progress and exits 0 once a complete verdict is announced, not before", async () => {
  const date = nextDate()
  const typed = cli.daybook("start", date, "--wait")
  const run = await beginRequested(date)
  await compute(db(), run, 0)
  await claim(db(), run, 1, 3)
  await vi.waitFor(() => expect(typed.seen().stderr).toContain("running 1/2 shards, 1 task, 1,000 purchases"), WAIT)
  await cli.database.query(`UPDATE shards SET state = 'done', row_count = 2, purchases = 1000, amount_cents = 1050
    WHERE run_id = '${run.runId}' AND shard_index = 1`)
  await decide(db(), run)
  await vi.waitFor(() => expect(typed.seen().stderr).toMatch(/verifying|complete 2\/2 shards/), WAIT)
  expect(typed.seen().stdout).toBe("")
  await markAnnounced(db(), run)
  const { code, stdout } = await typed
  expect(code).toBe(0)
  expect(stdout).toContain(`complete: ${date} version 1, 2 shards, run ${run.runId}`)
  expect(stdout).toMatch(/Revenue +4 +2,000 +21\.00\n/)
  expect(stdout).toMatch(/shop, guests +30 +-90,071,992,547,409\.93\n/)
})

test("--wait exits 1 for an incomplete verdict and says what to do", async () => {
  const date = nextDate()
  const typed = cli.daybook("start", date, "--wait")
  const run = await beginRequested(date)
  await compute(db(), run, 0)
  await fail(db(), run, 1, "Out of range value")
  await finish(db(), run, [{ index: 1, reason: "Out of range value" }])
  const { code, stdout } = await typed
  expect(code).toBe(1)
  expect(stdout).toMatch(/failed +shard 1 +Out of range value/)
  expect(stdout).toContain(`npm run daybook -- rerun ${run.runId}`)
  expect(stdout).toContain(`rerun-requests: {"runId":"${run.runId}","shards":[1]}`)
})

test("--wait --json prints the verdict's document and nothing else on standard output", async () => {
  const date = nextDate()
  const typed = cli.daybook("start", date, "--wait", "--json")
  const run = await beginRequested(date, cutAt())
  await compute(db(), run, 0)
  await finish(db(), run)
  const { code, stdout } = await typed
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    requestId: run.requestId,
    runId: run.runId,
    verdict: "complete",
    document: { guests: { purchases: "30", amountCents: "-9007199254740993" } },
  })
})

test("yesterday is found by its message, whatever date it was resolved to", async () => {
  const typed = cli.daybook("start", "yesterday", "--wait", "--json")
  const date = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
  const run = await beginRequested(date, cutAt())
  await compute(db(), run, 0)
  await finish(db(), run)
  expect(JSON.parse((await typed).stdout)).toMatchObject({ runId: run.runId, verdict: "complete" })
})

test("a rejected request is told with its reason and exits 1", async () => {
  const typed = cli.daybook("start", nextDate(), "--wait")
  const { messageId } = await cli.published("run-requests", ++asked)
  await reject("run-requests", messageId, "the date has not ended yet")
  expect(await typed).toMatchObject({ code: 1, stdout: "rejected: the date has not ended yet\n" })
})

test("a run that was begun and taken back by the planner ends in its rejection", async () => {
  const date = nextDate()
  const typed = cli.daybook("start", date, "--wait", "--json")
  const { messageId } = await cli.published("run-requests", ++asked)
  await createRun(db(), newRun({ runId: `${date}-${messageId}`, revenueDate: date, requestId: messageId }))
  await vi.waitFor(() => expect(typed.seen().stderr).toContain("waiting 0/? shards"), WAIT)
  await reject("run-requests", messageId, "the index is missing")
  await abandonRun(db(), `${date}-${messageId}`)
  const { code, stdout } = await typed
  expect(code).toBe(1)
  expect(JSON.parse(stdout)).toEqual({ requestId: messageId, verdict: "rejected", reason: "the index is missing" })
})

test("the time limit ends the waiting with exit code 1 and says that the run goes on", async () => {
  const typed = cli.daybook("start", nextDate(), "--wait", "--timeout", "1", "--json")
  const { messageId } = await cli.published("run-requests", ++asked)
  const { code, stdout, stderr } = await typed
  expect(code).toBe(1)
  expect(stderr).toContain(`There is no verdict after 1 s; the request (message ${messageId}) goes on by itself`)
  expect(JSON.parse(stdout)).toMatchObject({ requestId: messageId })
})

test("an interrupt ends the waiting with exit code 130", async () => {
  const date = nextDate()
  const typed = cli.daybook("start", date, "--wait")
  const run = await beginRequested(date)
  await vi.waitFor(() => expect(typed.seen().stderr).toContain(`It is run ${run.runId}`), WAIT)
  typed.interrupt()
  const { code, stdout, stderr } = await typed
  expect({ code, stdout }).toEqual({ code: 130, stdout: "" })
  expect(stderr).toContain(`Interrupted; run ${run.runId} goes on by itself`)
})

test("rerun publishes the shards, and --wait ends with the new verdict, not with the old one", async () => {
  const date = nextDate()
  const run = await beginRun(db(), cutAt(100n), { revenueDate: date })
  await compute(db(), run, 0)
  await fail(db(), run, 1, "broken")
  await finish(db(), run, [{ index: 1, reason: "broken" }])

  const typed = cli.daybook("rerun", date, "--shards", "1", "--wait")
  const { messageId, data } = await cli.published("rerun-requests")
  expect(data).toEqual({ date, shards: [1] })
  expect(await openNextDispatch(db(), await reread(db(), run), messageId, [1])).toBe(true)
  const rerun = await reread(db(), run)
  await compute(db(), rerun, 1)
  await finish(db(), rerun)
  const { code, stdout } = await typed
  expect(stdout).toContain("complete:")
  expect(code).toBe(0)
})

test("rerun by the run's id names no shards when all that is wanting is meant", async () => {
  const { code, stdout } = await cli.daybook("rerun", "2026-11-22-17", "--json")
  const { messageId, data } = await cli.published("rerun-requests", 2)
  expect(data).toEqual({ runId: "2026-11-22-17", shards: [] })
  expect({ code, document: JSON.parse(stdout) }).toEqual({
    code: 0,
    document: { requestId: messageId, runId: "2026-11-22-17" },
  })
})
