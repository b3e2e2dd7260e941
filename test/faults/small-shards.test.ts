import { afterAll, beforeAll, expect, test } from "vitest"
import { type Call, InjectedError } from "../../services/emulators/faults.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { freezeTaskAfter, startNextAttempt } from "./frozen-task.ts"
import { startSmallShards } from "./small-shards.ts"
import { date, expectSound } from "./two-days.ts"

/** In the middle of the day: her shard is one of several. */
const USER = 210

let cloud: FaultCloud

beforeAll(async () => {
  cloud = await startSmallShards({ maxRetries: 4 })
})
afterAll(() => cloud.stop())

const statement = (pattern: RegExp) => (call: Call) => call.server === "database" && pattern.test(String(call.request))

/** Of more than one shard: what is set depends on which it is. */
const isCommonUpdate = statement(/^update `shards` set `state` = 'done'[^]* WHEN \d+ [^]* WHEN \d+ /)

/** What inserts the rows of a range that the user is in. */
function insertsUser(call: Call): boolean {
  if (!statement(/^\s*INSERT INTO `revenue_versions`/)(call)) return false
  const [from, to] = [">=", "<"].map(
    (sign) => new RegExp(`user_id\` ${sign} '?(-?\\d+)`).exec(String(call.request))?.[1],
  )
  return from !== undefined && to !== undefined && BigInt(from) <= USER && USER < BigInt(to)
}

async function readShardOfUser(): Promise<number> {
  const [shard] = await cloud.query<{ shardIndex: number }>(
    `SELECT shard_index AS shardIndex FROM shards WHERE range_from <= ${USER} AND range_to > ${USER} AND run_id LIKE ?`,
    [`${date}-%`],
  )
  return Number(shard?.shardIndex)
}

test("a shard that crashes its task every time is named, and those computed with it finish", async () => {
  await expectSound(cloud, "zombie", "a shard of several that crashes its task", async () => {
    let together = 0
    const remove = cloud.proxy.faults.add({
      matches: insertsUser,
      before: async (call) => {
        const caller = cloud.recorder.callerOf(call)
        if (caller) process.kill(caller.pid, "SIGKILL")
        together = Math.max(together, await countClaimed())
        throw new InjectedError("ABORTED", "the task is gone")
      },
    })
    const verdict = await cloud.start(date)
    expect(together).toBeGreaterThan(1)
    expect(verdict).toMatchObject({ verdict: "incomplete", missing: [], corrupt: [], drifted: [] })
    expect(verdict.failed).toEqual([await readShardOfUser()])
    remove()
    await cloud.waitUntilIdle()
    expect(await cloud.retry(verdict)).toMatchObject({ verdict: "complete", dispatch: 1 })
  })
})

async function countClaimed(): Promise<number> {
  const [row] = await cloud.query<{ claimed: number }>("SELECT COUNT(*) AS claimed FROM shards WHERE state = 'claimed'")
  return Number(row?.claimed)
}

test("a shard that cannot be written is named with its user, and those computed with it finish", async () => {
  await expectSound(cloud, "zombie", "a shard of several that cannot be written", async () => {
    const where = `WHERE purchased_on = '${date}' AND user_id = ${USER}`
    await cloud.query(`UPDATE purchases SET amount_cents = amount_cents + 9000000000000000000 ${where}`)
    const verdict = await cloud.start(date)
    await cloud.query(`UPDATE purchases SET amount_cents = amount_cents - 9000000000000000000 ${where}`)
    expect(verdict).toMatchObject({ verdict: "incomplete", missing: [], corrupt: [] })
    expect(verdict.failed).toEqual([await readShardOfUser()])
    const [shard] = await cloud.query<{ error: string }>("SELECT error FROM shards WHERE state = 'failed'")
    expect(shard?.error).toContain(`user ${USER}`)
    await cloud.waitUntilIdle()
    expect(await cloud.retry(verdict)).toMatchObject({ verdict: "complete", dispatch: 1 })
  })
})

test.each([
  ["before the commit of several", isCommonUpdate],
  ["with claims and no transaction", statement(/^select `shard_index`, `dispatch`, `epoch` from `shards`/)],
])("a task frozen %s and superseded by its next attempt writes nothing when it goes on", async (place, matches) => {
  await expectSound(cloud, "zombie", `several shards, ${place}`, async () => {
    const { frozen } = freezeTaskAfter(cloud, matches)
    const requestId = await cloud.publish("run-requests", { date })
    const zombie = await frozen
    expect(await startNextAttempt(cloud, zombie.env)).toBe(0)
    expect(await cloud.awaitVerdict(requestId)).toMatchObject({ verdict: "complete" })
    const read = async () =>
      JSON.stringify([
        await cloud.query("SELECT * FROM revenue_versions ORDER BY revenue_date, version, user_id"),
        await cloud.query("SELECT run_id, shard_index, epoch, committed_at FROM shards ORDER BY run_id, shard_index"),
      ])
    const written = await read()
    await zombie.thaw()
    expect(await read()).toBe(written)
  })
})
