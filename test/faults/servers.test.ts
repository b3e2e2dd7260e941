import { setTimeout as wait } from "node:timers/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Call, type Fault, type FaultStatus, InjectedError } from "../../services/emulators/faults.ts"
import { truncateDownload } from "../../services/emulators/storage/truncate-download.ts"
import { SqlError } from "./database-proxy.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { date, expectSound, startTwoDays } from "./two-days.ts"

let cloud: FaultCloud

beforeAll(async () => {
  cloud = await startTwoDays({ parallelism: 2 })
})
afterAll(() => cloud.stop())

const play = (name: string, steps: () => Promise<void>) => expectSound(cloud, "server fault", name, steps)

/** Something that happens at some calls, at most so often. */
function once(matches: (call: Call) => boolean, effect: Omit<Fault, "matches">, times = 1): Fault & { left(): number } {
  let left = times
  return { ...effect, matches: (call) => left > 0 && matches(call) && left-- > 0, left: () => left }
}

const statement = (pattern: RegExp) => (call: Call) => call.server === "database" && pattern.test(String(call.request))

/** The statements that matter most: of planning, of a shard, of reports, of verification and of the decision. */
const statements: [string, RegExp][] = [
  ["while the day is planned", /ORDER BY .*user_id.* LIMIT 1/],
  ["while dispatch 0 is opened", /^insert into `dispatches`/],
  ["at a claim", /LAST_INSERT_ID/],
  ["while a shard is computed", /^\s*INSERT INTO `revenue_versions`/],
  ["while a shard is marked done", /^update `shards` set `state` = 'done'/],
  ["while a report is taken", /^\s*UPDATE `shards` s JOIN `dispatches`/],
  ["while a run is closed", /^update `runs` set `state` = 'verifying'/],
  ["while a run is verified", /^\s*SELECT .*AS arm/],
  ["while a verdict is decided", /^(?:insert into|update) `published_days`/],
]

describe.each(statements)("the database %s", (when, pattern) => {
  test("cuts every connection, before or after the statement", async () => {
    for (const moment of ["before", "after"] as const) {
      await play(`connections cut ${moment}, ${when}`, async () => {
        const fault = once(statement(pattern), { [moment]: () => cloud.proxy.cut() })
        const remove = cloud.proxy.faults.add(fault)
        await cloud.start(date)
        remove()
        expect(fault.left()).toBe(0)
      })
    }
  })

  test("reports a deadlock, then a lock wait that timed out", async () => {
    await play(`deadlock and lock wait, ${when}`, async () => {
      const errors = [new SqlError(1213, "40001", "Deadlock found"), new SqlError(1205, "HY000", "Lock wait timeout")]
      const fault = once(statement(pattern), { before: () => raise(errors.shift()) }, errors.length)
      const remove = cloud.proxy.faults.add(fault)
      await cloud.start(date)
      remove()
      expect(fault.left()).toBe(0)
    })
  })
})

function raise(error: Error | undefined): void {
  if (error) throw error
}

test.each([statements[0], statements[3], statements[4], statements[7], statements[8]] as [string, RegExp][])(
  "a database server that is killed and restarted %s is waited for",
  async (when, pattern) => {
    await play(`the database server killed, ${when}`, async () => {
      let restarted: Promise<void> | undefined
      const fault = once(statement(pattern), {
        before: () => {
          restarted = cloud.databaseServer
            .kill()
            .then(() => cloud.databaseServer.restart())
            .then(() => cloud.reconnect())
        },
      })
      const remove = cloud.proxy.faults.add(fault)
      const requestId = await cloud.publish("run-requests", { date })
      await cloud.waitFor("the restart", () => (restarted ? true : undefined))
      await restarted
      await cloud.awaitVerdict(requestId)
      remove()
    })
  },
)

test("a real lock that somebody else holds too long is waited for again", async () => {
  await cloud.query("SET GLOBAL innodb_lock_wait_timeout = 1")
  await play("a row locked by somebody for longer than the lock wait", async () => {
    const other = await cloud.connect()
    const hold = once(statement(/LAST_INSERT_ID/), {
      after: async () => {
        await other.beginTransaction()
        await other.query("SELECT * FROM shards WHERE run_id LIKE ? FOR UPDATE", [`${date}-%`])
      },
    })
    const remove = cloud.proxy.faults.add(hold)
    const requestId = await cloud.publish("run-requests", { date })
    await cloud.waitFor("the lock", () => (hold.left() === 0 ? true : undefined))
    await wait(1_500)
    await other.rollback()
    other.destroy()
    await cloud.awaitVerdict(requestId)
    remove()
  })
  await cloud.query("SET GLOBAL innodb_lock_wait_timeout = DEFAULT")
})

const documents = ["plan.json", "dispatch-0.json", "shards/1.json", "verdict.json"]
const refusals: FaultStatus[] = ["RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE"]

describe.each(documents)("Storage, asked to write %s,", (document) => {
  const isWrite = ({ method, resource }: Call) =>
    method === "storage.objects.insert" && resource.endsWith(`/${document}`)

  test("answers 429, 500 and 503, then 503 after it has written", async () => {
    await play(`writes of ${document} refused`, async () => {
      const answers = [...refusals]
      const refuse = once(isWrite, { before: () => fail(answers.shift()) }, answers.length)
      const lose = once((call) => refuse.left() === 0 && isWrite(call), { after: () => fail("UNAVAILABLE") })
      const removals = [cloud.cloud.storage.faults.add(refuse), cloud.cloud.storage.faults.add(lose)]
      await cloud.start(date)
      // A dispatch is written after its execution was started: it may be that the verdict comes first.
      await cloud.waitFor("the last answer", () => refuse.left() + lose.left() === 0 || undefined)
      for (const remove of removals) remove()
    })
  })
})

test("Storage that answers slowly, refuses reads and breaks downloads off is asked again", async () => {
  await play("reads of Storage", async () => {
    const isRead = ({ method }: Call) => method === "storage.objects.get" || method === "storage.objects.list"
    const answers = [...refusals]
    const faults = [
      once(({ method }) => method === "storage.objects.insert", { before: () => wait(700) }, 2),
      once(isRead, { before: () => fail(answers.shift()) }, answers.length),
      truncateDownload({}, 10, 1),
      truncateDownload({}, 0, 1),
    ]
    const removals = faults.map((fault) => cloud.cloud.storage.faults.add(fault))
    await cloud.start(date)
    for (const remove of removals) remove()
  })
})

test.each(["UNAVAILABLE", "DEADLINE_EXCEEDED"] as const)(
  "Pub/Sub that answers %s for seconds is waited for",
  async (status) => {
    for (const [when, isFirst] of [
      ["from the first work item", "CreateSubscription"],
      ["from the first pull", "Pull"],
    ] as const) {
      await play(`Pub/Sub ${status} ${when}`, async () => {
        let until = Number.POSITIVE_INFINITY
        const fault: Fault = {
          matches: ({ server, method }) => server === "pubsub" && method !== "push",
          before: ({ method, clientPort }) => {
            if (until === Number.POSITIVE_INFINITY && method === isFirst) until = Date.now() + 1_500
            // The test itself publishes too.
            if (clientPort !== undefined && until !== Number.POSITIVE_INFINITY && Date.now() < until) fail(status)
          },
        }
        const remove = cloud.cloud.pubsub.faults.add(fault)
        await cloud.start(date)
        remove()
      })
    }
  },
)

test("RunJob that fails is called again", async () => {
  await play("RunJob fails", async () => {
    const fault = once(({ method }) => method === "RunJob", { before: () => fail("UNAVAILABLE") }, 2)
    const remove = cloud.cloud.runJobs.faults.add(fault)
    await cloud.start(date)
    remove()
    expect(fault.left()).toBe(0)
  })
})

test("RunJob that fails after it has started the execution makes two of them, side by side and harmless", async () => {
  await play("two executions of one dispatch", async () => {
    const fault = once(({ method }) => method === "RunJob", { after: () => fail("UNAVAILABLE") })
    const remove = cloud.cloud.runJobs.faults.add(fault)
    const executions = new Set<string>()
    const unlisten = cloud.cloud.runJobs.onAttempt(({ execution }) => executions.add(execution))
    await cloud.start(date)
    await cloud.waitUntilIdle()
    remove()
    unlisten()
    expect(executions.size).toBe(2)
  })
})

test("RunJob that always fails leaves the request to be delivered again", async () => {
  await play("RunJob is away for a while", async () => {
    const fault = once(({ method }) => method === "RunJob", { before: () => fail("PERMISSION_DENIED") }, 3)
    const remove = cloud.cloud.runJobs.faults.add(fault)
    await cloud.start(date)
    remove()
    expect(fault.left()).toBe(0)
  })
})

function fail(status: FaultStatus | undefined): void {
  if (status) throw new InjectedError(status, `injected: ${status}`)
}
