import { beforeEach, expect, test } from "vitest"
import { plainShop } from "../../../schemas/database/shop.ts"
import { AuditSchema } from "../../../schemas/documents/audit_pb.ts"
import { parseDocument } from "../../../schemas/json.ts"
import { auditDay } from "../../../services/finalizer/proof/audit-day.ts"
import { computeShard } from "../../../services/worker/compute-shards.ts"
import { type Audit, findNextAudit } from "../../../shared/ledger/audits/find-audits.ts"
import { requestAudits } from "../../../shared/ledger/audits/request-audits.ts"
import { listUnsentChanges } from "../../../shared/ledger/days/day-changes.ts"
import { findDueRepair, markRepairAsked } from "../../../shared/ledger/days/mark-repair.ts"
import { findPublishedDay } from "../../../shared/ledger/days/published-days.ts"
import { closeRun } from "../../../shared/ledger/runs/close-run.ts"
import { createRun, type NewRun } from "../../../shared/ledger/runs/create-run.ts"
import { decideRun } from "../../../shared/ledger/runs/decide-run.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { claimShard } from "../../../shared/ledger/shards/claim-shards.ts"
import { listShards } from "../../../shared/ledger/shards/find-shards.ts"
import { insertPurchases, shopTables, useTestDatabase } from "../../fixtures/test-database.ts"
import { beginRun, cutAt, newRun, testDate } from "../../fixtures/test-run.ts"
import { unthrottled } from "../../fixtures/unthrottled.ts"

const at = `${testDate} 10:00:00`
const SHARDS = 20
const database = useTestDatabase(...shopTables)
let requests = 0

beforeEach(async () => {
  await database.forgetRuns()
  await database.query("DELETE FROM purchases")
  await database.query(
    insertPurchases(Array.from({ length: 200 }, (_, user): [number, number, string] => [user, 10, at])),
  )
  await publish()
})

/** Computes and publishes the date as the shop has it now, in twenty shards. */
async function publish(overrides: Partial<NewRun> = {}): Promise<ShopRun> {
  const { db } = database
  const run = await beginRun(
    db,
    cutAt(...Array.from({ length: SHARDS - 1 }, (_, n) => BigInt((n + 1) * 10))),
    overrides,
  )
  for (const { shardIndex } of await listShards(db, run.runId)) {
    const task = { execution: "e", taskIndex: 0, attempt: 0 }
    const claim = await claimShard(db, { runId: run.runId, shardIndex, dispatch: 0 }, task)
    if (claim) await computeShard(db, run, claim)
  }
  await closeRun(db, run)
  const totals = { rows: 200n, purchases: 200n, amountCents: 2_000n, parts: [] }
  await decideRun(db, run, { state: "complete", verdict: "{}", totals })
  return run
}

const ask = async () => {
  await requestAudits(database.db, `m${requests++}`, [testDate], new Date())
  return (await findNextAudit(database.db, [])) as Audit
}
const audit = (of: Audit, mayGoOn = () => true, isRepaired = true) =>
  auditDay({ db: database.db, shopDb: database.db, shop: plainShop, throttle: unthrottled }, of, isRepaired, mayGoOn)
const reread = async ({ auditId }: Audit) =>
  (
    await database.query<{ state: string; document: string; next_shard: number; repair: string }>(
      `SELECT state, document, next_shard, repair FROM audits WHERE audit_id = '${auditId}'`,
    )
  )[0]
const changes = async () => (await listUnsentChanges(database.db, 100)).map(({ state }) => state)

test("a day that is as it was is the same, and nobody is told but of its first showing", async () => {
  const asked = await ask()
  expect(await audit(asked)).toBe("ended")
  const ended = await reread(asked)
  expect(ended).toMatchObject({ state: "same", repair: "none" })
  expect(parseDocument(AuditSchema, ended?.document ?? "")).toMatchObject({
    state: "same",
    shards: SHARDS,
    usersDiffering: 0n,
    revenue: { rows: 200n, purchases: 200n, amountCents: "2000", parts: [] },
    source: { rows: 200n, purchases: 200n, amountCents: "2000", parts: [] },
    drifted: [],
  })
  expect(await findPublishedDay(database.db, testDate)).toMatchObject({
    state: "shown",
    auditedAt: expect.any(Date) as Date,
  })
  expect(await changes()).toEqual(["shown"])
})

test("a day that the shop has changed has drifted: shards, users and sums are named, and it is told once", async () => {
  await database.query(
    "UPDATE purchases SET user_id = 5 WHERE user_id = 4",
    insertPurchases([
      [1_000, 7, at],
      [null, 99, at],
    ]),
  )
  const asked = await ask()
  expect(await audit(asked)).toBe("ended")
  const ended = await reread(asked)
  expect(ended).toMatchObject({ state: "drifted", repair: "due" })
  const document = parseDocument(AuditSchema, ended?.document ?? "")
  expect(document).toMatchObject({ usersDiffering: 3n, source: { rows: 200n, purchases: 201n, amountCents: "2007" } })
  expect(document.drifted.map(({ index, users }) => [index, users.map(({ userId }) => userId)])).toEqual([
    [0, ["4", "5"]],
    [SHARDS - 1, ["1000"]],
  ])
  expect(document.drifted[0]?.users[1]).toMatchObject({
    before: { amountCents: "10" },
    after: { amountCents: "20", purchases: 2n },
  })
  expect(await changes()).toEqual(["shown", "drifted"])
  const [, told] = await listUnsentChanges(database.db, 100)
  expect(told).toMatchObject({
    before: { rows: 200n, amountCents: 2_000n },
    after: { rows: 200n, purchases: 201n, amountCents: 2_007n },
  })

  // The next night finds the same, and then the shop is as it was again.
  await audit(await ask())
  expect(await changes()).toEqual(["shown", "drifted"])
  await database.query(
    "DELETE FROM purchases WHERE user_id = 1000",
    "UPDATE purchases SET user_id = 4 WHERE user_id = 5 LIMIT 1",
  )
  await audit(await ask())
  expect(await changes()).toEqual(["shown", "drifted", "shown"])
})

test("an audit that has to stop goes on where it was, and reads no shard twice", async () => {
  const asked = await ask()
  let batches = 0
  expect(await audit(asked, () => batches++ < 1)).toBe("stopped")
  const stopped = await reread(asked)
  expect(stopped).toMatchObject({ state: "auditing", next_shard: 8 })
  // What it has seen already is not looked at again.
  await database.query("DELETE FROM purchases WHERE user_id = 1")
  expect(await audit((await findNextAudit(database.db, [])) as Audit)).toBe("ended")
  expect(await reread(asked)).toMatchObject({ state: "same", next_shard: SHARDS })
})

test("two finalizers at one audit end it once", async () => {
  await database.query("DELETE FROM purchases WHERE user_id = 150")
  const asked = await ask()
  const outcomes = await Promise.all([audit(asked), audit(asked)])
  expect(outcomes).toContain("ended")
  expect(await reread(asked)).toMatchObject({ state: "drifted" })
  expect(await changes()).toEqual(["shown", "drifted"])
  expect(parseDocument(AuditSchema, (await reread(asked))?.document ?? "")).toMatchObject({
    shards: SHARDS,
    usersDiffering: 1n,
  })
})

test("an audit of a version that readers do not see any more says nothing of the day", async () => {
  const asked = await ask()
  let batches = 0
  await audit(asked, () => batches++ < 1)
  await database.query("DELETE FROM purchases WHERE user_id = 150")
  await publish()
  expect(await audit((await findNextAudit(database.db, [])) as Audit)).toBe("ended")
  expect(await reread(asked)).toMatchObject({ state: "outdated" })
  expect(await changes()).toEqual(["shown", "shown-anew"])
})

test("a repair is due once for each finding, alone, and not while the day has an unfinished run", async () => {
  const { db } = database
  await database.query("DELETE FROM purchases WHERE user_id = 150")
  const first = await ask()
  await audit(first, undefined, false)
  expect(await findDueRepair(db, new Date(0))).toBeUndefined()

  const second = await ask()
  await audit(second)
  const unfinished = await createRun(db, newRun())
  expect(await findDueRepair(db, new Date(0))).toBeUndefined()
  await database.query(`DELETE FROM runs WHERE run_id = '${unfinished.runId}'`)
  expect((await findDueRepair(db, new Date(0)))?.auditId).toBe(second.auditId)
  await markRepairAsked(db, second.auditId)
  expect(await findDueRepair(db, new Date(0))).toBeUndefined()

  const repair = await publish({ repairOf: second.auditId })
  expect(await changes()).toEqual(["shown", "drifted", "repaired"])
  // The same repair again is the same run.
  expect((await createRun(db, newRun({ repairOf: second.auditId }))).runId).toBe(repair.runId)
})
