import { afterAll, beforeAll, expect, test } from "vitest"
import { type FaultCloud, startFaultCloud } from "./fault-cloud.ts"
import { digestDates, findFaults, readShop, readView } from "./invariants.ts"
import { createRandom, suiteSeed } from "./random.ts"
import { changePrice, changePrices, fillDate } from "./shop-days.ts"
import { startTrouble } from "./soak-faults.ts"
import { tally } from "./tally.ts"
import { watchReaders } from "./watch-readers.ts"

const dates = ["2026-03-01", "2026-03-02", "2026-03-03"]
const bystander = "2026-03-04"
const ROUNDS = Number(process.env["FAULTS_ROUNDS"] ?? "20")
const RERUNS_MAX = 6

let cloud: FaultCloud

beforeAll(async () => {
  cloud = await startFaultCloud({ parallelism: 2 })
  for (const of of [...dates, bystander]) await fillDate(cloud.connection, of)
  for (const of of [...dates, bystander]) await cloud.start(of)
})
afterAll(() => cloud.stop())

test.each(Array.from({ length: ROUNDS }, (_, n) => suiteSeed + n))(
  "whatever happens at random to several dates at once, each comes right (seed %i)",
  async (seed) => {
    const startedAt = performance.now()
    const random = createRandom(seed)
    await cloud.findPanics()
    const others = await digestDates(cloud.connection)
    const days = await Promise.all(
      dates.map(async (date) => ({
        date,
        before: await readView(cloud.connection, date),
        readers: watchReaders(cloud.connect, date),
      })),
    )
    const faults: string[] = []
    for (const date of dates) await changePrices(cloud.connection, date)
    cloud.recorder.restart()
    const trouble = startTrouble(cloud, seed)
    const requests = await Promise.all(dates.map((date) => cloud.publish("run-requests", { date })))
    if (random.chance(0.3)) await changePrice(cloud.connection, random.pick(dates), 7).catch(() => undefined)
    try {
      const verdicts = await Promise.all(requests.map((requestId) => cloud.awaitVerdict(requestId)))
      // Some reruns go through trouble too.
      const isCalm = random.chance(0.5)
      if (isCalm) await trouble.stop()
      for (let verdict of verdicts) {
        for (let rerun = 0; verdict.verdict === "incomplete"; rerun++) {
          if (rerun === RERUNS_MAX) throw new Error(`stuck run: ${verdict.runId} after ${rerun} reruns`)
          await cloud.waitUntilIdle()
          verdict = await cloud.retry(verdict)
        }
      }
    } catch (error) {
      faults.push(error instanceof Error ? error.message : String(error))
    }
    const happened = await trouble.stop()
    await cloud.relay.idle()
    await cloud.waitUntilIdle().catch((error: Error) => faults.push(error.message))
    for (const { date, before, readers } of days) {
      const rows = await readShop(cloud.connection, date)
      faults.push(...(await findFaults(cloud.evidence(), date, { rows, complete: true })))
      const seen = await readers.stop()
      if (seen.some((state) => state !== before.join("\n") && state !== rows.join("\n"))) {
        faults.push(`wrong rows: a reader of ${date} saw neither the old day nor the new one`)
      }
    }
    const now = await digestDates(cloud.connection)
    if (now.get(bystander) !== others.get(bystander)) faults.push(`wrong rows: ${bystander} was changed`)
    if (cloud.orphans().length > 0) faults.push("left over: processes")
    if (cloud.deadLetters() > 0) faults.push(`stuck run: ${cloud.deadLetters()} dead letters`)
    faults.push(...(await cloud.findPanics()).map((line) => `a panic: ${line.slice(0, 300)}`))
    const seconds = (performance.now() - startedAt) / 1000
    for (const date of dates) tally({ kind: "soak run", name: `${date}, seed ${seed}`, faults, seconds })
    expect({ faults, happened }).toEqual({ faults: [], happened })
  },
)
