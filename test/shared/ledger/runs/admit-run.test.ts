import { beforeEach, expect, test } from "vitest"
import { admitRun } from "../../../../shared/ledger/runs/admit-run.ts"
import { closeRun } from "../../../../shared/ledger/runs/close-run.ts"
import { createRun } from "../../../../shared/ledger/runs/create-run.ts"
import { listWaitingRuns } from "../../../../shared/ledger/runs/run-queue.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"
import { newRun } from "../../../fixtures/test-run.ts"

const database = useTestDatabase()
beforeEach(() => database.forgetRuns())

let days = 1

/** A run that waits, of a date of its own, requested after those before it. */
async function ask(backfillId?: string): Promise<string> {
  const requestedAt = new Date(Date.UTC(2026, 9, 1, 0, 0, days))
  const revenueDate = `2026-09-${String((days++ % 28) + 1).padStart(2, "0")}`
  const cause = backfillId === undefined ? {} : { cause: `${revenueDate} backfill ${backfillId}` }
  return (await createRun(database.db, newRun({ revenueDate, requestedAt, ...cause }))).runId
}

const admit = async (runId: string, runsMax: number) => (await admitRun(database.db, runId, runsMax))?.run.state

test("as many runs as may be are let in, whoever asks at the same moment", async () => {
  const runs = await Promise.all(Array.from({ length: 8 }, () => ask()))
  const states = await Promise.all(runs.map((runId) => admit(runId, 3)))
  expect(states.filter((state) => state === "planning")).toHaveLength(3)
  expect(states.filter((state) => state === "waiting")).toHaveLength(5)
  // Asked again, one that is at work is at work.
  for (const [at, runId] of runs.entries()) expect(await admit(runId, 3)).toBe(states[at])
})

test("a run of a backfill lets any other go first, and keeps one slot of several", async () => {
  const [first, second] = [await ask("1"), await ask("1")]
  const daily = await ask()
  expect(await listWaitingRuns(database.db, 10)).toEqual([{ runId: daily }, { runId: first }, { runId: second }])
  // Of two slots one is the backfill's though the daily run waits; the other is not for it.
  expect(await admit(first, 2)).toBe("planning")
  expect(await admit(second, 2)).toBe("waiting")
  expect(await admit(daily, 2)).toBe("planning")
})

test("others do not take a backfill's last slot; a single slot is theirs", async () => {
  const backfill = await ask("1")
  const [one, two] = [await ask(), await ask()]
  expect(await admit(one, 2)).toBe("planning")
  expect(await admit(two, 2)).toBe("waiting")
  expect(await admit(backfill, 2)).toBe("planning")
  await database.forgetRuns()
  const [behind, before] = [await ask("1"), await ask()]
  expect(await admit(behind, 1)).toBe("waiting")
  expect(await admit(before, 1)).toBe("planning")
})

test("a run that is requested just as a slot becomes free does not overtake the one that waits", async () => {
  const [first, second] = [await ask(), await ask()]
  expect(await admit(first, 1)).toBe("planning")
  expect(await admit(second, 1)).toBe("waiting")
  await closeRun(database.db, { runId: first, dispatch: 0 })
  const third = await ask()
  expect(await admit(third, 1)).toBe("waiting")
  expect(await admit(second, 1)).toBe("planning")
})

test("the reserved slot of backfills is offered however many other runs wait", async () => {
  for (let others = 0; others < 12; others++) await ask()
  const backfill = await ask("1")
  expect((await listWaitingRuns(database.db, 10)).map(({ runId }) => runId)).toContain(backfill)
})
