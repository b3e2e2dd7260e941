import { afterAll, beforeAll, expect, test } from "vitest"
import { type FaultCloud, startFaultCloud } from "./fault-cloud.ts"
import { readShop, readView } from "./invariants.ts"
import { playCase } from "./play-case.ts"
import { createRandom, type Random, suiteSeed } from "./random.ts"
import { fillDate } from "./shop-days.ts"

let cloud: FaultCloud
const date = "2026-03-01"
const bystander = "2026-03-02"
const RERUNS_MAX = 6

beforeAll(async () => {
  cloud = await startFaultCloud({ parallelism: 2 })
  for (const of of [date, bystander]) await fillDate(cloud.connection, of)
  await cloud.start(bystander)
  await cloud.start(date)
})
afterAll(() => cloud.stop())

/** A purchase more, a refund, or a purchase less, of any user: in a shard that is done or in one that is not. */
async function changeSource(random: Random): Promise<void> {
  const user = random.pick(["-9223372036854775808", "7", "14", "28", "35", "49", "9223372036854775807", "1000"])
  const amount = 1 + random.below(1_000)
  switch (random.below(3)) {
    case 0:
      await insert(user, amount)
      return
    case 1:
      await insert(user, -amount)
      return
    default:
      await cloud.query("DELETE FROM purchases WHERE purchased_on = ? AND user_id = ? LIMIT 1", [date, user])
  }
}

const insert = (user: string, amount: number) =>
  cloud.query("INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (?, ?, ?)", [
    user,
    amount,
    `${date} 0${Math.abs(amount) % 10}:00:00`,
  ])

test.each(Array.from({ length: 10 }, (_, n) => suiteSeed + n))(
  "a shop that changes while it is read is told as drift, and reruns take it in (seed %i)",
  async (seed) => {
    const random = createRandom(seed)
    const whole: string[] = []
    const faults = await playCase(cloud, {
      kind: "source change",
      name: `changes at random calls, seed ${seed}`,
      date,
      also: () => whole,
      play: async () => {
        await changeSource(random)
        let left = 1 + random.below(4)
        const remove = cloud.proxy.faults.add({
          matches: (call) =>
            left > 0 &&
            /^\s*(?:INSERT INTO `revenue_versions`|commit|select .* from `shards`)/i.test(String(call.request)) &&
            cloud.recorder.callerOf(call)?.caller.startsWith("task") === true &&
            random.chance(0.3) &&
            left-- > 0,
          [random.chance(0.5) ? "before" : "after"]: () => changeSource(random),
        })
        let verdict = await cloud.start(date)
        remove()
        for (let rerun = 0; verdict.verdict === "incomplete"; rerun++) {
          expect(rerun).toBeLessThan(RERUNS_MAX)
          expect(verdict).toMatchObject({ missing: [], failed: [], corrupt: [] })
          expect(verdict["drifted"]).not.toEqual([])
          await cloud.waitUntilIdle()
          // Between verdict and rerun too.
          if (rerun === 0 && random.chance(0.5)) await changeSource(random)
          verdict = await cloud.retry(verdict)
        }
        whole.push((await readShop(cloud.connection, date)).join("\n"))
      },
    })
    expect(faults).toEqual([])
  },
)

test("purchases that come after the verdict wait for the next run, and readers keep what was verified", async () => {
  await cloud.start(date)
  const before = await readView(cloud.connection, date)
  await insert("7", 123)
  await cloud.waitUntilIdle()
  expect(await readView(cloud.connection, date)).toEqual(before)
  const faults = await playCase(cloud, {
    kind: "source change",
    name: "changes after the verdict",
    date,
    play: async () => void (await cloud.start(date)),
  })
  expect(faults).toEqual([])
})
