import { beforeEach, expect, test } from "vitest"
import { markAnnounced } from "../../../../shared/ledger/runs/announce-run.ts"
import { closeRun } from "../../../../shared/ledger/runs/close-run.ts"
import { decideRun } from "../../../../shared/ledger/runs/decide-run.ts"
import { findRun, type Run } from "../../../../shared/ledger/runs/find-runs.ts"
import { openNextDispatch } from "../../../../shared/ledger/runs/open-next-dispatch.ts"
import { listShards } from "../../../../shared/ledger/shards/find-shards.ts"
import { useTestDatabase } from "../../../fixtures/test-database.ts"
import { beginRun, cutAt } from "../../../fixtures/test-run.ts"

const SHARDS = 2_500
const database = useTestDatabase()
let run: Run

beforeEach(async () => {
  const { db } = database
  await database.forgetRuns()
  const { runId } = await beginRun(db, cutAt(...Array.from({ length: SHARDS - 1 }, (_, n) => BigInt(n + 1))))
  const reread = async () => (await findRun(db, runId)) as Run
  await closeRun(db, await reread())
  await decideRun(db, await reread(), { state: "incomplete", verdict: "{}" })
  await markAnnounced(db, await reread())
  run = await reread()
})

test.each([
  ["all", () => true],
  ["every third", (index: number) => index % 3 === 1],
  ["the last", (index: number) => index === SHARDS - 1],
])(
  "a rerun of %s of many shards offers each at its place, under a new epoch, and no other",
  async (_what, isWanted) => {
    const { db } = database
    const before = await listShards(db, run.runId)
    const wanted = before.map(({ shardIndex }) => shardIndex).filter(isWanted)
    expect(await openNextDispatch(db, run, "rerun", wanted.toReversed())).toBe(true)
    const places = new Map(wanted.map((index, place) => [index, place]))
    const expected = before.map((shard) => {
      const position = places.get(shard.shardIndex)
      return position === undefined
        ? shard
        : { ...shard, dispatch: 1, position, state: "offered", epoch: shard.epoch + 1 }
    })
    expect(await listShards(db, run.runId)).toEqual(expected)
  },
)

test("a rerun of a shard that the ledger does not have changes nothing", async () => {
  const { db } = database
  const before = await listShards(db, run.runId)
  await expect(openNextDispatch(db, run, "rerun", [0, SHARDS])).rejects.toThrow(
    `run ${run.runId} cannot be rerun: the ledger lacks 1 of its shards 0 to ${SHARDS}. Start the date again.`,
  )
  expect(await listShards(db, run.runId)).toEqual(before)
  expect(await findRun(db, run.runId)).toMatchObject({ state: "incomplete", dispatch: 0 })
})
