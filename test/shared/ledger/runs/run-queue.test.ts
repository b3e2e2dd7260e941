import { setTimeout as wait } from "node:timers/promises"
import * as fc from "fast-check"
import { expect, test } from "vitest"
import { admitRun } from "../../../../shared/ledger/runs/admit-run.ts"
import { markAnnounced } from "../../../../shared/ledger/runs/announce-run.ts"
import { closeRun } from "../../../../shared/ledger/runs/close-run.ts"
import { createRun } from "../../../../shared/ledger/runs/create-run.ts"
import { decideRun } from "../../../../shared/ledger/runs/decide-run.ts"
import { findRun, type Run } from "../../../../shared/ledger/runs/find-runs.ts"
import { cancelRun } from "../../../../shared/ledger/runs/mark-cancelled.ts"
import { openNextDispatch } from "../../../../shared/ledger/runs/open-next-dispatch.ts"
import { listWaitingRuns } from "../../../../shared/ledger/runs/run-queue.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"
import { newRun } from "../../../fixtures/test-run.ts"

/*
 * Requests, deliveries that are late or never come, verdicts, reruns and cancellations in random order, on the real ledger.
 * What must hold is said by the requests alone: when each was made, and whether it is a backfill's.
 */

type Event =
  | { kind: "request"; isBackfill: boolean }
  /** The planner gets a message about some run, whichever. */
  | { kind: "deliver"; run: number }
  | { kind: "finish"; run: number }
  | { kind: "rerun"; run: number }
  | { kind: "cancel"; run: number }

const any = fc.nat({ max: 1_000 })
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("request" as const), isBackfill: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("deliver" as const), run: any }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("finish" as const), run: any }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rerun" as const), run: any }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), run: any }) },
)

interface Known {
  runId: string
  isBackfill: boolean
  /** Grows with each request. */
  requested: number
  state: "waiting" | "at work" | "incomplete" | "cancelled"
}

const database = useTestDatabase()

/** The ledger keeps milliseconds: no two requests are of the same one. The server's clock is this machine's. */
const tick = () => wait(2)

async function openHistory(runsMax: number) {
  const { db } = database
  await database.forgetRuns()
  const known: Known[] = []
  let requests = 0
  const runsIn = (state: Known["state"]) => known.filter((run) => run.state === state)
  const read = async ({ runId }: Known) => (await findRun(db, runId)) as Run

  async function deliver(run: Known): Promise<void> {
    const waiting = runsIn("waiting")
    const atWork = runsIn("at work")
    const admitted = (await admitRun(db, run.runId, runsMax))?.run
    if (run.state !== "waiting" || admitted?.state === "waiting") return
    run.state = "at work"
    expect(runsIn("at work").length).toBeLessThanOrEqual(runsMax)
    const isReserved = runsMax > 1 && !atWork.some(({ isBackfill }) => isBackfill)
    const backfills = waiting.filter(({ isBackfill }) => isBackfill)
    const before = waiting.filter(
      (other) => other.isBackfill === run.isBackfill && other.requested < run.requested,
    ).length
    const free = runsMax - atWork.length
    const others = waiting.length - backfills.length
    if (!run.isBackfill) expect(before).toBeLessThan(isReserved && backfills.length > 0 ? free - 1 : free)
    else if (!(isReserved && before === 0)) expect(others + before).toBeLessThan(free)
  }

  async function finish(run: Known): Promise<void> {
    await closeRun(db, await read(run))
    await decideRun(db, await read(run), { state: "incomplete", verdict: "{}" })
    await markAnnounced(db, await read(run))
    run.state = "incomplete"
  }

  async function play(happening: Event): Promise<void> {
    const pick = (from: Known[], at: number) => from[at % Math.max(1, from.length)]
    switch (happening.kind) {
      case "request": {
        const requested = requests++
        const date = new Date(Date.UTC(2026, 0, 1 + requested)).toISOString().slice(0, 10)
        const cause = happening.isBackfill ? { cause: `${date} backfill 1` } : {}
        await tick()
        const { runId } = await createRun(db, newRun({ revenueDate: date, requestedAt: new Date(), ...cause }))
        known.push({ runId, isBackfill: happening.isBackfill, requested, state: "waiting" })
        return
      }
      case "deliver": {
        const run = pick(known, happening.run)
        if (run) await deliver(run)
        return
      }
      case "finish": {
        const run = pick(runsIn("at work"), happening.run)
        if (run) await finish(run)
        return
      }
      case "rerun": {
        const run = pick(runsIn("incomplete"), happening.run)
        if (!run) return
        await tick()
        expect(await openNextDispatch(db, await read(run), `rerun-${requests}`, [])).toBe(true)
        Object.assign(run, { state: "waiting", requested: requests++ })
        return
      }
      case "cancel": {
        const run = pick(runsIn("waiting"), happening.run)
        if (!run) return
        await cancelRun(db, await read(run), "{}")
        run.state = "cancelled"
      }
    }
  }

  /** Whatever messages were lost, sweeps and verdicts alone bring every run to its slot. */
  async function drain(): Promise<void> {
    for (let waiting = runsIn("waiting").length; waiting > 0; waiting = runsIn("waiting").length) {
      for (const run of runsIn("at work")) await finish(run)
      for (const { runId } of await listWaitingRuns(db, 1)) {
        await deliver(known.find((run) => run.runId === runId) as Known)
      }
      expect(runsIn("waiting").length).toBeLessThan(waiting)
    }
  }
  return { play, drain }
}

test("in whatever order messages come, the oldest request has the next slot, and nothing waits for ever", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(event, { minLength: 10, maxLength: 60 }),
      async (runsMax, events) => {
        const history = await openHistory(runsMax)
        for (const happening of events) await history.play(happening)
        await history.drain()
      },
    ),
    { numRuns: 60 },
  )
}, 120_000)
