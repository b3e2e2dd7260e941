import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type FaultCloud, startFaultCloud } from "./fault-cloud.ts"
import { readShop, type SentVerdict } from "./invariants.ts"
import { playCase } from "./play-case.ts"
import { isInSample } from "./sample.ts"
import { fillDate } from "./shop-days.ts"

const date = "2026-03-01"
const bystander = "2026-03-02"

const insert = (user: number | string, amount: number | string, at = "08:15:00") =>
  `INSERT INTO purchases (user_id, amount_cents, purchased_at) VALUES (${user}, ${amount}, '${date} ${at}')`
const ofDay = `CAST(purchased_at AS CHAR) LIKE '${date} %'`
const give = (from: number, to: number | string, limit = "LIMIT 1") =>
  `UPDATE purchases SET user_id = ${to} WHERE user_id = ${from} AND ${ofDay} ${limit}`
const add = (user: number, cents: number) =>
  `UPDATE purchases SET amount_cents = amount_cents + ${cents} WHERE user_id = ${user} AND ${ofDay} LIMIT 1`
const remove = (user: number, limit = "LIMIT 1") =>
  `DELETE FROM purchases WHERE user_id = ${user} AND ${ofDay} ${limit}`

const FAR = 1_000_000_000
const LAST = "9223372036854775807"

/** What happens to a shop; most of it leaves count and sum of a shard, or of the day, as they were. */
const kinds: [name: string, statements: string[]][] = [
  ["a purchase given to another user of the shard", [give(7, 14)]],
  ["a purchase given to a user of another shard", [give(7, LAST)]],
  ["equal and opposite corrections", [add(7, 1000), add(14, -1000)]],
  ["a purchase deleted and an equal one inserted", [remove(7), insert(14, 101)]],
  ["two accounts merged", [give(7, 14, "")]],
  ["a user deleted", [remove(7, "")]],
  ["a late purchase and an equal refund", [insert(7, 5), insert(14, -5)]],
  ["a regular pattern of exchanges", [give(7, FAR + 7), give(FAR + 14, 14)]],
  ["a new buyer", [insert(10, 77)]],
  ["a change and its exact reversal", [add(7, 1000), add(7, -1000)]],
]

/** When it happens. Each returns the verdict that must tell it. */
const stages = {
  "when the first shard is committed": (cloud: FaultCloud, change: () => Promise<void>) =>
    changeAtUpload(cloud, change, () => true),
  "when all shards are committed": (cloud: FaultCloud, change: () => Promise<void>) =>
    changeAtUpload(cloud, change, async () => {
      const [left] = await cloud.query<{ count: string }>(
        "SELECT COUNT(*) AS count FROM shards WHERE run_id = (SELECT MAX(run_id) FROM runs WHERE state = 'running') AND state <> 'done'",
      )
      return Number(left?.count) === 0
    }),
  "when the run is closed": async (cloud: FaultCloud, change: () => Promise<void>) => {
    // Statements that are sent at once wait for the change, all of them.
    let changing: Promise<void> | undefined
    const removeFault = cloud.proxy.faults.add({
      matches: (call) =>
        /from `purchases`/i.test(String(call.request)) && cloud.recorder.callerOf(call)?.caller === "finalizer",
      before: () => (changing ??= change()),
    })
    const verdict = await cloud.start(date)
    removeFault()
    expect(changing).toBeDefined()
    return verdict
  },
  "before a rerun": async (cloud: FaultCloud, change: () => Promise<void>) => {
    // A user whose sum does not fit makes one shard fail; the others stand.
    for (const at of ["08:00:00", "08:00:01"]) await cloud.query(insert(LAST, "9000000000000000000", at))
    const first = await cloud.start(date)
    expect(first).toMatchObject({ verdict: "incomplete", missing: [], corrupt: [], drifted: [] })
    expect(first["failed"]).toHaveLength(1)
    await cloud.waitUntilIdle()
    await cloud.query(`DELETE FROM purchases WHERE amount_cents = 9000000000000000000`)
    await change()
    return cloud.retry(first)
  },
}

async function changeAtUpload(
  cloud: FaultCloud,
  change: () => Promise<void>,
  isTime: () => boolean | Promise<boolean>,
) {
  let isDue = true
  const removeFault = cloud.cloud.storage.faults.add({
    matches: ({ method, resource }) => isDue && method === "storage.objects.insert" && resource.includes("/shards/"),
    before: async () => {
      if (!isDue || !(await isTime())) return
      isDue = false
      await change()
    },
  })
  const verdict = await cloud.start(date)
  removeFault()
  expect(isDue).toBe(false)
  return verdict
}

interface Shard {
  index: number
  from: string | null
  to: string | null
}

/** Changes the shop, and says which users differ for it and which shards had been committed by then. */
async function changeShop(cloud: FaultCloud, statements: string[]) {
  const before = await readShop(cloud.connection, date)
  for (const statement of statements) await cloud.query(statement)
  const after = await readShop(cloud.connection, date)
  const lines = [...before.filter((line) => !after.includes(line)), ...after.filter((line) => !before.includes(line))]
  const users = [...new Set(lines.map((line) => BigInt(line.split(",")[0] ?? "")))].toSorted((a, b) => (a < b ? -1 : 1))
  const committed = await cloud.query<Shard>(
    `SELECT shard_index AS \`index\`, CAST(range_from AS CHAR) AS \`from\`, CAST(range_to AS CHAR) AS \`to\` FROM shards
     WHERE run_id = (SELECT run_id FROM runs WHERE revenue_date = ? ORDER BY version DESC LIMIT 1) AND state = 'done'`,
    [date],
  )
  return { users, committed }
}

const holds = ({ from, to }: Shard, user: bigint) =>
  (from === null || BigInt(from) <= user) && (to === null || user < BigInt(to))

async function readNamedUsers(cloud: FaultCloud, { runId = "" }: SentVerdict) {
  const path = join(cloud.evidence().bucket, "runs", date, runId, "verdict.json")
  const { faults = [] } = JSON.parse(await readFile(path, "utf8")) as {
    faults?: { index: number; users: { userId: string }[] }[]
  }
  return faults.map(({ index, users }) => ({ index, users: users.map(({ userId }) => userId) }))
}

/** Whatever happens to the shop, at every stage of a run: the verdict names the shards and the users, or is complete. */
export function proveSourceChanges(options: {
  shop: string[]
  isShopElsewhere: boolean
  settings?: Record<string, string>
}): void {
  let cloud: FaultCloud

  beforeAll(async () => {
    cloud = await startFaultCloud(options)
    await fillDate(cloud.connection, bystander)
    await cloud.start(bystander)
  })
  afterAll(() => cloud.stop())

  const all = Object.entries(stages).flatMap(([stage, play]) => kinds.map((kind) => [...kind, stage, play] as const))
  const tried = all.filter(isInSample)

  describe("is found to the user", () => {
    test.each(tried)("$0, $2", async (name, statements, stage, play) => {
      const faults = await playCase(cloud, {
        kind: "source change",
        name: `${name}, ${stage}`,
        date,
        play: async () => {
          await cloud.query(`DELETE FROM purchases WHERE ${ofDay}`)
          await fillDate(cloud.connection, date)
          for (const user of [7, 14]) await cloud.query(insert(FAR + user, 100 + user))
          let changed: Awaited<ReturnType<typeof changeShop>> = { users: [], committed: [] }
          const verdict = await play(cloud, async () => {
            changed = await changeShop(cloud, statements)
          })
          const expected = changed.committed
            .map((shard) => ({
              index: shard.index,
              users: changed.users.filter((user) => holds(shard, user)).map(String),
            }))
            .filter(({ users }) => users.length > 0)
            .toSorted((a, b) => a.index - b.index)
          expect(verdict).toMatchObject({
            verdict: expected.length === 0 ? "complete" : "incomplete",
            drifted: expected.map(({ index }) => index),
            missing: [],
            failed: [],
            corrupt: [],
          })
          expect(await readNamedUsers(cloud, verdict)).toEqual(expected)
          await cloud.waitUntilIdle()
          if (verdict.verdict === "incomplete") {
            expect(await cloud.retry(verdict)).toMatchObject({ verdict: "complete" })
          }
        },
      })
      expect(faults).toEqual([])
    })
  })
}
