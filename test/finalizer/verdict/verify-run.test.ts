import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { VerdictSchema } from "../../../schemas/documents/verdict_pb.ts"
import { parseDocument } from "../../../schemas/json.ts"
import { failBefore, InjectedError } from "../../../services/emulators/faults.ts"
import { finalizeRun } from "../../../services/finalizer/verdict/finalize-run.ts"
import { takeRerunRequest } from "../../../services/planner/rerun-shards.ts"
import { verdictPath } from "../../../shared/documents/document-paths.ts"
import { readDocument } from "../../../shared/documents/documents.ts"
import { createRun } from "../../../shared/ledger/runs/create-run.ts"
import type { Run } from "../../../shared/ledger/runs/find-runs.ts"
import { listShards } from "../../../shared/ledger/shards/find-shards.ts"
import { openFinalizeContext } from "../../fixtures/finalize-context.ts"
import { openPlannerFixture, type PlannerFixture, pushed } from "../../fixtures/planner-fixture.ts"
import { compute, reread } from "../../fixtures/play-run.ts"
import { insertPurchases, shopTables } from "../../fixtures/test-database.ts"
import { cutAt, newRun, openFirstDispatch } from "../../fixtures/test-run.ts"

const MINUTE_MS = 60_000

let fixture: PlannerFixture
let run: Run
let elapsedMs = 0

beforeAll(async () => {
  fixture = await openPlannerFixture()
})
afterAll(() => fixture.close())
beforeEach(async () => {
  await fixture.database.forgetRuns()
  await fixture.database.query("DROP TABLE IF EXISTS users, purchases", ...shopTables)
  await fixture.database.query(insertPurchases([[1, 100, "2026-11-22 12:00:00"]]))
  elapsedMs = 0
  const { db } = fixture.database
  run = await createRun(db, newRun())
  await openFirstDispatch(db, run, cutAt())
  await compute(db, run, 0)
})

const context = () => openFinalizeContext(fixture, { elapsedMs })
const finalize = () => finalizeRun(context(), run.runId)
const stateNow = async () => (await reread(fixture.database.db, run)).state

test("a value that cannot be read ends in a verdict that says so, and the date is free", async () => {
  await fixture.database.query("ALTER TABLE purchases MODIFY amount_cents DECIMAL(10,2) NOT NULL")
  await fixture.database.query("UPDATE purchases SET amount_cents = 12.50")
  await expect(finalize()).rejects.toThrow("the shop cannot be read")
  elapsedMs = 4 * MINUTE_MS
  await expect(finalize()).rejects.toThrow("the shop cannot be read")
  expect(await stateNow()).toBe("verifying")
  elapsedMs = 6 * MINUTE_MS
  await finalize()
  expect(await stateNow()).toBe("incomplete")
  const text = await readDocument(fixture.context.bucket, verdictPath(run.runId), fixture.context)
  expect(parseDocument(VerdictSchema, text ?? "")).toMatchObject({
    verdict: "incomplete",
    shards: 1,
    reason: expect.stringMatching(
      /^1 unverified; first: it cannot be verified, tried since .*Cannot convert .* to a BigInt/,
    ) as string,
    faults: [{ fault: "unverified" }],
    retry: { topic: "run-requests", data: '{"date":"2026-11-22"}' },
  })
  expect(fixture.verdicts().at(-1)).toMatchObject({ verdict: "incomplete", runId: run.runId, missing: [] })
  expect((await createRun(fixture.database.db, newRun())).version).toBe(2)
})

test("a column that is gone, too", async () => {
  await fixture.database.query("ALTER TABLE purchases RENAME COLUMN amount_cents TO amount")
  await expect(finalize()).rejects.toThrow("the shop cannot be read")
  elapsedMs = 6 * MINUTE_MS
  await finalize()
  expect(parseDocument(VerdictSchema, (await reread(fixture.database.db, run)).verdict ?? "").reason).toContain(
    "amount_cents",
  )
})

test("what should pass is waited for longer", async () => {
  const remove = fixture.storage.faults.add(failBefore({ method: "storage.objects.list" }, "UNAVAILABLE", 100))
  const impatient = { ...context(), retriesMax: 0 }
  elapsedMs = 50 * MINUTE_MS
  await expect(finalizeRun(impatient, run.runId)).rejects.toThrow(/503|unavailable/i)
  remove()
  expect(await stateNow()).toBe("verifying")
})

test("a verdict that the ledger cannot keep is another one that says so", async () => {
  await fixture.database.query("ALTER TABLE runs MODIFY verdict MEDIUMTEXT CHARACTER SET latin1")
  try {
    await fixture.database.query("UPDATE runs SET note = '日曜'", "UPDATE dispatches SET note = '日曜'")
    await expect(finalize()).rejects.toThrow("runs")
    elapsedMs = 6 * MINUTE_MS
    await finalize()
    const { verdict } = await reread(fixture.database.db, run)
    expect(parseDocument(VerdictSchema, verdict ?? "")).toMatchObject({
      verdict: "incomplete",
      faults: [{ fault: "unverified", reason: expect.stringContaining("its verdict cannot be recorded") as string }],
    })
  } finally {
    await fixture.database.query("ALTER TABLE runs MODIFY verdict MEDIUMTEXT CHARACTER SET utf8mb4")
  }
})

test("a bucket that refuses the verdict keeps nobody from hearing of it: the ledger has it, readers have the day", async () => {
  const remove = fixture.storage.faults.add({
    matches: ({ method, resource }) => method === "storage.objects.insert" && resource.endsWith("verdict.json"),
    before: () => {
      throw new InjectedError("INVALID_ARGUMENT", "Bucket is a requester pays bucket but no user project provided.")
    },
  })
  await expect(finalize()).rejects.toThrow("requester pays")
  const sent = fixture.verdicts().length
  elapsedMs = 4 * MINUTE_MS
  await expect(finalize()).rejects.toThrow("requester pays")
  expect(fixture.verdicts()).toHaveLength(sent)
  elapsedMs = 6 * MINUTE_MS
  await finalize()
  remove()
  expect(fixture.verdicts().at(-1)).toMatchObject({ verdict: "incomplete", runId: run.runId })
  expect(fixture.verdicts().at(-1)?.document).toBeUndefined()
  expect((await reread(fixture.database.db, run)).announcedAt).not.toBeNull()
})

test("of more faults than a verdict can name, all are in a document, and are computed again by one message", async () => {
  const { db } = fixture.database
  const SHARDS = 3_000
  await fixture.database.forgetRuns()
  run = await createRun(db, newRun())
  await openFirstDispatch(db, run, cutAt(...Array.from({ length: SHARDS - 1 }, (_, index) => BigInt(index + 2) * 10n)))
  await finalize()
  const verdict = parseDocument(VerdictSchema, (await reread(db, run)).verdict ?? "")
  expect(verdict).toMatchObject({ verdict: "incomplete", shards: SHARDS, faultsInAll: BigInt(SHARDS) + 1n })
  expect(verdict.faults).toHaveLength(1_000)
  expect(verdict.reason).toContain(`${SHARDS} missing`)
  const text = await readDocument(fixture.context.bucket, verdict.faultsDocument ?? "", fixture.context)
  expect(text?.trim().split("\n")).toHaveLength(SHARDS + 1)

  await takeRerunRequest(fixture.context, pushed(JSON.parse(verdict.retry?.data ?? "")))
  const shards = await listShards(db, run.runId)
  expect(shards.filter(({ dispatch, state }) => dispatch === 1 && state === "offered")).toHaveLength(SHARDS)
})
