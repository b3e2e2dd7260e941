import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { computeShard } from "../../../services/worker/compute-shards.ts"
import { inTransaction } from "../../../shared/database/transaction.ts"
import { describeError } from "../../../shared/errors.ts"
import { closeRun } from "../../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../../shared/ledger/runs/decide-run.ts"
import { type BehindProxy, openBehindProxy, refusals } from "../../fixtures/behind-proxy.ts"
import { claim, compute, reread } from "../../fixtures/play-run.ts"
import { insertPurchases, shopTables, useTestDatabase } from "../../fixtures/test-database.ts"
import { beginRun, cutAt } from "../../fixtures/test-run.ts"

/*
 * The server refuses a statement in the middle of a transaction, and the ROLLBACK as well, and keeps the connection: limits
 * of an account, a proxy in front, a switch to read-only, a full disk.
 */

const database = useTestDatabase(...shopTables)
let service: BehindProxy

beforeAll(async () => {
  service = await openBehindProxy(database)
  await database.query(insertPurchases([[5, 100, "2026-11-22 10:00:00"]]))
})
afterAll(() => service.stop())
beforeEach(() => database.forgetRuns())

test("a decision that is refused half way is not made by whatever the connection does next", async () => {
  const begun = await beginRun(database.db, cutAt())
  await compute(database.db, begun, 0)
  await closeRun(database.db, begun)
  const run = await reread(database.db, begun)
  const look = async () => [
    await database.query("SELECT state, verdict FROM runs"),
    await database.query("SELECT revenue_date, version FROM published_days"),
  ]
  const before = await look()
  service.refuseOnce(/published_days/, refusals.tooMany)
  service.refuseOnce(/^rollback/, refusals.tooMany)
  const totals = { rows: 2n, purchases: 1_000n, amountCents: 1_050n, parts: [] }
  const decision = { state: "complete" as const, verdict: '{"verdict":"complete"}', totals }
  const refused = await decideRun(service.db, run, decision).then(String, describeError)
  expect(refused).toMatch(/max_queries_per_hour/)
  expect(service.hasRefused()).toBe(true)
  await inTransaction(service.db, (tx) => tx.execute("SELECT 1"))
  expect(await look()).toEqual(before)
  expect(await decideRun(service.db, run, decision)).toBe(true)
  expect((await look())[1]).toHaveLength(1)
})

test("a shard that is refused half way leaves nothing, and is computed by the next try", async () => {
  const run = await beginRun(database.db, cutAt())
  const claimed = await claim(database.db, run, 0, 0)
  // The rows are there by then, and the sums are not.
  service.refuseOnce(/^\s*SELECT [^]*FROM `revenue_versions`/i, refusals.tooMany)
  service.refuseOnce(/^rollback/, refusals.tooMany)
  const refused = await computeShard(service.db, run, claimed).then(String, describeError)
  expect(refused).toMatch(/max_queries_per_hour/)
  expect(service.hasRefused()).toBe(true)
  expect(await computeShard(service.db, run, claimed)).toMatchObject({ state: "done", epoch: 1 })
  expect(await database.query("SELECT CAST(user_id AS CHAR) AS user FROM revenue_versions")).toEqual([{ user: "5" }])
})
