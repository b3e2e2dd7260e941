import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { createSweep, type SweepContext } from "../../services/finalizer/sweep.ts"
import { openDatabase } from "../../shared/database/open-database.ts"
import { listFailingDuties } from "../../shared/ledger/duties/duties.ts"
import { openFinalizerFixture } from "../fixtures/finalizer-fixture.ts"
import { compute, finish, reread } from "../fixtures/play-run.ts"
import { beginRun, cutAt, testDate } from "../fixtures/test-run.ts"

let fixture: Awaited<ReturnType<typeof openFinalizerFixture>>
beforeAll(async () => {
  fixture = await openFinalizerFixture()
})
afterAll(() => fixture?.close())
beforeEach(async () => {
  await fixture.database.forgetRuns()
  fixture.lines.length = 0
})

const lined = (message: string) => fixture.lines.filter((line) => line.message === message)
const sweepOf = (overrides: Partial<SweepContext> = {}) => createSweep(fixture.contextOf(overrides))
const requestAudit = () =>
  fixture.database.query(
    `INSERT INTO audits (audit_id, revenue_date, request_id, state, requested_at)
      VALUES ('${testDate}-x', '${testDate}', 'x', 'waiting', NOW())`,
  )
const stateOfAudit = async () => (await fixture.database.query<{ state: string }>("SELECT state FROM audits"))[0]?.state

/** A third version, so that the rows of the first are not needed any more. */
async function publishThrice(): Promise<void> {
  const { db } = fixture.database
  for (let version = 1; version <= 3; version++) {
    const run = await beginRun(db, cutAt())
    await compute(db, run, 0)
    await finish(db, run)
  }
  await fixture.database.query(`INSERT INTO revenue_versions VALUES ('${testDate}', 1, 5, 100, 1)`)
}

test("old versions that cannot be deleted keep nothing else waiting, need attention after three sweeps, and none once they can", async () => {
  const { database } = fixture
  await publishThrice()
  await requestAudit()
  await database.query(
    "CREATE TRIGGER no_delete BEFORE DELETE ON revenue_versions FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'DELETE command denied'",
  )
  const sweep = sweepOf()
  try {
    for (let sweeps = 1; sweeps <= 3; sweeps++) {
      expect(await listFailingDuties(database.db)).toEqual([])
      expect(await sweep()).toBe("these duties failed: prune-versions")
      expect(lined("a sweep has ended")).toHaveLength(sweeps)
    }
    expect(await stateOfAudit()).not.toBe("waiting")
    expect(await listFailingDuties(database.db)).toMatchObject([
      { name: "prune-versions", failures: 3, lastError: "DELETE command denied", succeededAt: null },
    ])
    expect(lined("a duty keeps failing")).toMatchObject([{ duty: "prune-versions", error: "DELETE command denied" }])
  } finally {
    await database.query("DROP TRIGGER no_delete")
  }
  expect(await sweep()).toBeUndefined()
  expect(await listFailingDuties(database.db)).toEqual([])
  expect(await database.query("SELECT user_id FROM revenue_versions")).toEqual([])
})

test("two sweeps at once are one, and two finalizers at once do the same as one", async () => {
  await publishThrice()
  const [one, other] = [sweepOf(), sweepOf()]
  expect(await Promise.all([one(), one(), other(), other()])).toEqual([undefined, undefined, undefined, undefined])
  expect(lined("a sweep has ended")).toHaveLength(2)
  expect(await fixture.database.query("SELECT user_id FROM revenue_versions")).toEqual([])
})

test("a table that somebody has locked takes neither all connections nor the other duties", async () => {
  const { database } = fixture
  const run = await beginRun(database.db, cutAt())
  await compute(database.db, run, 0)
  await database.query(`UPDATE runs SET state = 'verifying', verifying_at = NOW() WHERE run_id = '${run.runId}'`)
  // As a finalizer has it.
  const own = openDatabase({ url: database.url, connectionsMax: 4, tableWaitSecondsMax: 2 })
  const locking = await database.pool.promise().getConnection()
  try {
    await locking.query("LOCK TABLES audits WRITE")
    const startedMs = performance.now()
    const answer = await sweepOf({ db: own.db })()
    expect(performance.now() - startedMs).toBeLessThan(40_000)
    expect(answer).toMatch(/work-off-audits.*announce-audits.*repair-days/)
    expect(answer).not.toMatch(/look-after-runs|fill-gaps|send-day-changes/)
    expect((await reread(database.db, run)).state).not.toBe("verifying")
    // What a message would ask for.
    await own.db.execute("SELECT 1")
  } finally {
    await locking.query("UNLOCK TABLES")
    locking.release()
    await own.close()
  }
})
