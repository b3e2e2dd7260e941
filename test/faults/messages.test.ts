import { afterAll, beforeAll, expect, test } from "vitest"
import { InjectedError } from "../../services/emulators/faults.ts"
import { readAudit } from "./audit.ts"
import { startExtraFinalizer } from "./extra-finalizer.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import type { SentVerdict } from "./invariants.ts"
import { messageOf } from "./push-relay.ts"
import { createRandom, suiteSeed } from "./random.ts"
import { date, driftFirstShard, expectSound, startTwoDays } from "./two-days.ts"

let cloud: FaultCloud
const workItems = "projects/local/topics/work-items"

beforeAll(async () => {
  cloud = await startTwoDays({ parallelism: 2 })
})
afterAll(() => cloud.stop())

const play = async (name: string, steps: () => Promise<void>) => {
  await expectSound(cloud, "message fault", name, steps)
  cloud.relay.plan = () => ({ delaysMs: [0] })
}

/** Publishes the work items of a run again, as anybody may. */
async function offerAgain(runId: string, order: (items: Item[]) => Item[] = (items) => items): Promise<void> {
  const items = cloud.cloud.pubsub
    .messages(workItems)
    .filter(({ attributes }) => attributes["runId"] === runId)
    .map(({ data, attributes }) => ({ data: data.toString(), attributes: { ...attributes } }))
  for (const { data, attributes } of order(items)) await cloud.publish("work-items", data, attributes)
}
type Item = { data: string; attributes: Record<string, string> }

test.each(Array.from({ length: 8 }, (_, n) => suiteSeed + n))(
  "messages that come up to three times, late and in any order, end in one verdict (seed %i)",
  async (seed) => {
    const random = createRandom(seed)
    await play(`shuffled, seed ${seed}`, async () => {
      cloud.relay.plan = () => ({ delaysMs: Array.from({ length: 1 + random.below(3) }, () => random.below(400)) })
      const request = cloud.publish("run-requests", { date })
      const remove = cloud.cloud.runJobs.faults.add({
        matches: ({ method }) => method === "RunJob",
        // Every work item twice or more, before a task can pull one.
        before: async () => {
          const runId = `${date}-${await request}`
          for (let copy = 0; copy <= random.below(2); copy++) {
            await offerAgain(runId, (items) => items.toSorted(() => random.below(3) - 1))
          }
        },
      })
      await cloud.awaitVerdict(await request)
      remove()
    })
  },
)

test("every message of a run that is over, delivered again, changes nothing", async () => {
  await play("redelivered after the end", async () => {
    const since = cloud.relay.deliveries.length
    const { runId = "" } = await cloud.start(date)
    await cloud.waitUntilIdle()
    const sent = cloud.verdicts().length
    const audit = JSON.stringify(await readAudit(cloud.connection, date))
    await offerAgain(runId)
    for (const delivery of cloud.relay.deliveries.slice(since)) {
      expect(await cloud.relay.redeliver(delivery)).toEqual([204])
    }
    expect(cloud.verdicts().length).toBe(sent)
    expect(JSON.stringify(await readAudit(cloud.connection, date))).toBe(audit)
    expect(cloud.subscriptions()).not.toContain(`run-${runId}`)
  })
})

test("a run request that is delivered again while its run goes is the same run", async () => {
  await play("request redelivered all the time", async () => {
    cloud.relay.plan = ({ path }) => ({ delaysMs: path === "/run-requests" ? [0, 50, 100, 200, 400, 800] : [0] })
    await cloud.start(date)
    const runs = await cloud.query("SELECT DISTINCT request_id FROM runs WHERE revenue_date = ?", [date])
    const all = await cloud.query("SELECT run_id FROM runs WHERE revenue_date = ?", [date])
    expect(runs.length).toBe(all.length)
  })
})

test("a report that is lost is made up for by the sweep", async () => {
  await play("a report lost", async () => {
    cloud.relay.plan = (delivery) => ({
      delaysMs: delivery.path === "/shard-reports" && (messageOf(delivery).data["index"] ?? 0) === 1 ? [] : [0],
    })
    await cloud.start(date)
  })
})

test("a verdict that cannot be sent is sent later, and one whose answer is lost is sent again as it was", async () => {
  for (const moment of ["before", "after"] as const) {
    await play(`verdict lost ${moment} it was sent`, async () => {
      let left = 2
      const remove = cloud.cloud.pubsub.faults.add({
        matches: ({ method, resource }) =>
          method === "Publish" && resource.endsWith("/run-verdicts") && left > 0 && left-- > 0,
        [moment]: () => {
          // Not one that the client itself would try again.
          throw new InjectedError("PERMISSION_DENIED", "injected: not now")
        },
      })
      const requestId = await cloud.publish("run-requests", { date })
      await cloud.awaitVerdict(requestId)
      await cloud.waitUntilIdle()
      remove()
      expect(left).toBe(0)
      const sent = cloud.verdicts().filter((verdict) => verdict.requestId === requestId)
      expect(sent.length).toBe(moment === "before" ? 1 : 3)
    })
  }
})

test("reports that arrive at two finalizers at once end in one decision", async () => {
  const extra = await startExtraFinalizer(cloud)
  try {
    for (let round = 0; round < 4; round++) {
      await play(`two finalizers, ${round}`, async () => {
        cloud.relay.finalizers = [extra.url]
        await cloud.start(date)
        await cloud.waitUntilIdle()
      })
    }
  } finally {
    cloud.relay.finalizers = []
    await extra.stop()
  }
})

test("work items of an old dispatch that arrive in a new one are taken for what they are", async () => {
  await play("old work items", async () => {
    const drift = driftFirstShard(cloud)
    const verdict: SentVerdict = await cloud.start(date)
    drift()
    // The drift may have come before the first shard was computed.
    if (verdict.verdict === "complete") return
    await cloud.waitUntilIdle()
    await offerAgain(verdict.runId ?? "")
    const remove = cloud.cloud.runJobs.faults.add({
      matches: ({ method }) => method === "RunJob",
      after: () => offerAgain(verdict.runId ?? ""),
    })
    expect(await cloud.retry(verdict)).toMatchObject({ verdict: "complete", dispatch: 1 })
    remove()
  })
})
