import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { createRunCare } from "../../../services/finalizer/duties/look-after-runs.ts"
import type { Run } from "../../../shared/ledger/runs/find-runs.ts"
import { openFinalizerFixture } from "../../fixtures/finalizer-fixture.ts"
import { reread } from "../../fixtures/play-run.ts"
import { beginRun, cutAt } from "../../fixtures/test-run.ts"

const AWAITED_MS = 400

let fixture: Awaited<ReturnType<typeof openFinalizerFixture>>
let release: () => void
let lists = 0
let remove: () => void
beforeAll(async () => {
  fixture = await openFinalizerFixture()
})
afterAll(() => fixture?.close())
beforeEach(() => fixture.database.forgetRuns())

/** A run that is closed, and whose verdict nobody will bring. */
async function closeInSilence(revenueDate: string): Promise<Run> {
  const run = await beginRun(fixture.database.db, cutAt(), { revenueDate })
  await fixture.database.query(
    `UPDATE runs SET state = 'verifying', verifying_at = NOW() WHERE run_id = '${run.runId}'`,
  )
  return run
}

/** The bucket does not answer whoever verifies the run, until `release`. */
function hang({ runId }: Run): void {
  const { promise, resolve } = Promise.withResolvers<void>()
  release = resolve
  lists = 0
  remove = fixture.storage.faults.add({
    matches: ({ method, request }) =>
      method === "storage.objects.list" && JSON.stringify(request ?? "").includes(runId),
    before: () => {
      lists++
      return promise
    },
  })
}

const isAnnounced = async (run: Run) => (await reread(fixture.database.db, run)).announcedAt !== null

test("a run that hangs keeps no other run waiting, is not looked after twice, and gets its verdict when it goes on", async () => {
  const hanging = await closeInSilence("2026-11-20")
  const others = [await closeInSilence("2026-11-21"), await closeInSilence("2026-11-22")]
  hang(hanging)
  try {
    const look = createRunCare(fixture.contextOf(), { turnMs: 100, awaitedMs: AWAITED_MS })
    // It can end while a run hangs, so that the next one looks for further runs.
    for (let looks = 0; looks < 2 || !(await isAnnounced(others[1] as Run)); looks++) await look()
    expect(await isAnnounced(others[0] as Run)).toBe(true)
    expect(await isAnnounced(hanging)).toBe(false)
    expect(lists).toBe(1)
    release()
    while (!(await isAnnounced(hanging))) await look()
    expect(lists).toBe(1)
  } finally {
    remove()
  }
})

test("a run that hangs longer than a run may be verified is a failure that names it", async () => {
  const hanging = await closeInSilence("2026-11-20")
  hang(hanging)
  try {
    const context = fixture.contextOf({ verifyingMsMax: 100 })
    const look = createRunCare(context, { turnMs: 100, awaitedMs: AWAITED_MS })
    await expect(look()).rejects.toThrow(`run ${hanging.runId} has been looked after for`)
  } finally {
    release()
    remove()
  }
})

test("what fails with one run is told at the end, after the others", async () => {
  const failing = await closeInSilence("2026-11-20")
  const other = await closeInSilence("2026-11-21")
  await fixture.database.query(
    `UPDATE runs SET state = 'running', verifying_at = NULL WHERE run_id = '${failing.runId}'`,
  )
  await fixture.database.query(`UPDATE dispatches SET execution = 'e' WHERE run_id = '${failing.runId}'`)
  const executions = { getExecution: () => Promise.reject(new Error("Run is away")) } as never
  const look = createRunCare(fixture.contextOf({ executions }), { turnMs: 100, awaitedMs: 10_000 })
  await expect(look()).rejects.toThrow("Run is away")
  expect(await isAnnounced(other)).toBe(true)
})
