import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest"
import { type Call, InjectedError } from "../../../services/emulators/faults.ts"
import { createAuditAnnouncing } from "../../../services/finalizer/duties/announce-audits.ts"
import { createRetention } from "../../../services/finalizer/duties/delete-expired.ts"
import { driveBackfills } from "../../../services/finalizer/duties/drive-backfills.ts"
import { planNight } from "../../../services/finalizer/duties/plan-night.ts"
import { createPruning } from "../../../services/finalizer/duties/prune-versions.ts"
import { startWaiting } from "../../../services/finalizer/duties/start-waiting.ts"
import { addDays } from "../../../shared/day/revenue-day.ts"
import { runFolder } from "../../../shared/documents/document-paths.ts"
import { createDocument } from "../../../shared/documents/documents.ts"
import { createBackfill, listBackfillDays } from "../../../shared/ledger/backfills/backfills.ts"
import { recordDayChange } from "../../../shared/ledger/days/day-changes.ts"
import { createRun } from "../../../shared/ledger/runs/create-run.ts"
import { topics } from "../../../shared/messages/topics.ts"
import { openFinalizerFixture } from "../../fixtures/finalizer-fixture.ts"
import { newRun } from "../../fixtures/test-run.ts"

// What stands at the front of a list and cannot be worked off keeps nothing behind it waiting.

let fixture: Awaited<ReturnType<typeof openFinalizerFixture>>
const removals: (() => void)[] = []
beforeAll(async () => {
  fixture = await openFinalizerFixture()
})
afterAll(() => fixture?.close())
beforeEach(() => fixture.database.forgetRuns())
afterEach(() => {
  for (const remove of removals.splice(0)) remove()
})

const db = () => fixture.database.db
const firstDate = "2026-01-01"
const dateOf = (n: number) => addDays(firstDate, n)

/** The bucket or Pub/Sub refuses calls, as if for good. */
function refuse(server: "storage" | "pubsub", matches: (call: Call) => boolean): void {
  const faults = server === "storage" ? fixture.storage.faults : fixture.pubsubServer.faults
  const status = server === "storage" ? "PERMISSION_DENIED" : "INVALID_ARGUMENT"
  const before = () => {
    throw new InjectedError(status, "it is refused")
  }
  removals.push(faults.add({ matches, before }))
}

const sentTo = (topic: string) =>
  fixture.pubsubServer
    .messages(`projects/local/topics/${topic}`)
    .map(({ data }) => JSON.parse(Buffer.from(data).toString()) as { runId?: string; date?: string; state?: string })

test("a change that its topic refuses keeps later ones of its date waiting, and no other", async () => {
  for (const [date, state] of [
    [dateOf(0), "shown"],
    [dateOf(0), "drifted"],
    [dateOf(1), "shown"],
  ] as const) {
    await recordDayChange(db(), { date, state, version: 1, runId: "r" })
  }
  let refused = true
  refuse("pubsub", ({ method, resource, request }) => {
    const { messages = [] } = request as { messages?: { attributes?: { date?: string } }[] }
    return (
      refused && method === "Publish" && resource.endsWith("day-changes") && messages[0]?.attributes?.date === dateOf(0)
    )
  })
  const { sendDayChanges } = fixture.contextOf()
  await expect(sendDayChanges()).rejects.toThrow("refused")
  expect(sentTo(topics.dayChanges).map(({ date }) => date)).toEqual([dateOf(1)])
  refused = false
  await sendDayChanges()
  expect(sentTo(topics.dayChanges).map(({ date, state }) => [date, state])).toEqual([
    [dateOf(1), "shown"],
    [dateOf(0), "shown"],
    [dateOf(0), "drifted"],
  ])
})

test("audits whose documents the bucket refuses do not keep others from being announced", async () => {
  const audits = Array.from(
    { length: 45 },
    (_, n) => `('${dateOf(n)}-m', '${dateOf(n)}', 'm', 'same', '{}', NOW(), NOW())`,
  )
  await fixture.database.query(
    `INSERT INTO audits (audit_id, revenue_date, request_id, state, document, requested_at, audited_at) VALUES ${audits.join()}`,
  )
  refuse("storage", ({ resource }) =>
    Array.from({ length: 40 }, (_, n) => dateOf(n)).some((date) => resource.includes(date)),
  )
  const announce = createAuditAnnouncing(fixture.contextOf())
  for (let calls = 0; calls < 3; calls++) await expect(announce()).rejects.toThrow("(and")
  const open = await fixture.database.query("SELECT audit_id FROM audits WHERE announced_at IS NULL")
  expect(open).toHaveLength(40)
})

/** Decided runs of a date each, of which none is needed any more: a newer version is there. */
async function insertOldRuns(count: number, prunedAt: "NOW()" | "NULL"): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `${dateOf(n)}-old`)
  const rows = ids.flatMap((runId, n) =>
    [1, 2, 3].map(
      (
        version,
      ) => `('${version === 1 ? runId : `${dateOf(n)}-v${version}`}', '${dateOf(n)}', ${version}, 'complete', 'm', 'UTC', NOW(), NOW(), 'i',
        NOW(), NOW() - INTERVAL 500 DAY, NOW(), ${version === 1 ? prunedAt : "NULL"})`,
    ),
  )
  await fixture.database.query(
    `INSERT INTO runs (run_id, revenue_date, version, state, request_id, time_zone, from_at, to_at, source_index,
      requested_at, decided_at, announced_at, pruned_at) VALUES ${rows.join()}`,
    `INSERT INTO published_days (revenue_date, version, run_id, published_at) SELECT revenue_date, version, run_id, NOW() FROM runs WHERE version = 3`,
  )
  return ids
}

test("runs whose documents are under a hold do not keep others from being forgotten", async () => {
  const ids = await insertOldRuns(45, "NOW()")
  for (const runId of ids.slice(0, 40))
    await createDocument(fixture.context.bucket, `${runFolder(runId)}/plan.json`, "{}", fixture.context)
  refuse("storage", ({ method }) => method === "storage.objects.delete")
  const forget = createRetention(fixture.contextOf())
  for (let calls = 0; calls < 3; calls++) await expect(forget()).rejects.toThrow("(and")
  const left = await fixture.database.query<{ id: string }>(
    "SELECT run_id AS id FROM runs WHERE version = 1 ORDER BY 1",
  )
  expect(left.map(({ id }) => id)).toEqual(ids.slice(0, 40))
})

test("versions whose rows cannot be deleted do not keep others from being pruned", async () => {
  const ids = await insertOldRuns(15, "NULL")
  await fixture.database.query(
    `INSERT INTO revenue_versions SELECT revenue_date, 1, 5, 100, 1 FROM runs WHERE version = 1`,
    `CREATE TRIGGER no_delete BEFORE DELETE ON revenue_versions FOR EACH ROW BEGIN
      IF OLD.revenue_date < '${dateOf(12)}' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'these stay'; END IF; END`,
  )
  try {
    const prune = createPruning(fixture.contextOf())
    for (let calls = 0; calls < 2; calls++) await expect(prune()).rejects.toThrow("these stay")
  } finally {
    await fixture.database.query("DROP TRIGGER no_delete")
  }
  const left = await fixture.database.query<{ id: string }>(
    "SELECT run_id AS id FROM runs WHERE version = 1 AND pruned_at IS NULL ORDER BY 1",
  )
  expect(left.map(({ id }) => id)).toEqual(ids.slice(0, 12))
})

async function backfill(backfillId: string, dates: string[], runsAtOnce: number): Promise<void> {
  const [fromDate = "", toDate = ""] = [dates[0], dates.at(-1)]
  const asker = { askedBy: null, via: null, note: null }
  const requestedAt = new Date("2026-11-23T12:00:00Z")
  await createBackfill(db(), { backfillId, fromDate, toDate, which: "all", runsAtOnce, requestedAt, ...asker }, dates)
}
const asked = async (backfillId: string) =>
  (await listBackfillDays(db(), backfillId, "asked", 100)).map(({ revenueDate }) => revenueDate)

test("a backfill goes on with its other days while somebody else's runs are at work on the first sixty", async () => {
  const dates = Array.from({ length: 70 }, (_, n) => dateOf(n))
  for (const revenueDate of dates.slice(0, 60)) await createRun(db(), newRun({ revenueDate }))
  await backfill("1", dates, 3)
  await driveBackfills(fixture.contextOf())
  expect(await asked("1")).toEqual(dates.slice(60, 63))
})

test("a day of a backfill whose rejection cannot be read keeps neither its other days nor other backfills waiting", async () => {
  await backfill("1", [dateOf(0), dateOf(1), dateOf(2)], 2)
  await backfill("2", [dateOf(10)], 1)
  await fixture.database.query(
    `UPDATE backfill_days SET state = 'asked', request_id = 'unreadable', asked_at = NOW() WHERE revenue_date = '${dateOf(0)}'`,
  )
  refuse("storage", ({ resource }) => resource.includes("unreadable"))
  await expect(driveBackfills(fixture.contextOf())).rejects.toThrow("refused")
  expect(await asked("1")).toEqual([dateOf(0), dateOf(1)])
  expect(await asked("2")).toEqual([dateOf(10)])
})

test("a backfill's run is told of its slot, however many other runs wait before it", async () => {
  const runs = []
  for (let n = 0; n < 12; n++) runs.push(await createRun(db(), newRun({ revenueDate: dateOf(n) })))
  const revenueDate = dateOf(20)
  const ofBackfill = await createRun(db(), newRun({ revenueDate, cause: `${revenueDate} backfill 1` }))
  await startWaiting(fixture.contextOf())
  const told = sentTo(topics.runStarts).map(({ runId }) => runId)
  expect(told).toHaveLength(11)
  expect(told).toContain(ofBackfill.runId)
  expect(told).toContain(runs[0]?.runId)
})

test.each([
  ["wait for a run", undefined, 0],
  ["do not wait for the run of a backfill, which may take weeks", "2026-01-02 backfill 1", 1],
])("the night's audits %s", async (_what, cause, planned) => {
  const [runId] = await insertOldRuns(1, "NULL")
  expect(runId).toBeDefined()
  await createRun(db(), newRun({ revenueDate: dateOf(1), cause }))
  await planNight(fixture.contextOf({ now: () => new Date(`${dateOf(3)}T12:00:00Z`) }))
  expect(await fixture.database.query("SELECT audit_id FROM audits")).toHaveLength(planned)
})
