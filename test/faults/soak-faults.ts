import { setTimeout as wait } from "node:timers/promises"
import { type Call, type FaultStatus, InjectedError } from "../../services/emulators/faults.ts"
import { truncateDownload } from "../../services/emulators/storage/truncate-download.ts"
import { describeCall } from "./call-recorder.ts"
import { SqlError } from "./database-proxy.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { readEnvironment } from "./find-process.ts"
import { messageOf, type PushDelivery } from "./push-relay.ts"
import { createRandom, createRandomOf, type Random } from "./random.ts"

/** Of all calls, so many meet with something. A round has a few hundred calls. */
const TROUBLE_PROBABILITY = 0.01
/** So that every round comes to an end: tasks have three retries, and requests thirty deliveries. */
const TROUBLES_MAX = 4

const statuses: FaultStatus[] = ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"]

/**
 * Lets everything happen that the other files try one by one, at random calls, until it is told to stop. What happens
 * at a call depends on the seed, on who calls what for which date, and on how often it did before: the order in which
 * the calls of several programs reach the servers is never the same twice.
 */
export function startTrouble(cloud: FaultCloud, seed: number): { stop(): Promise<string[]> } {
  const happened: string[] = []
  const underWay: Promise<unknown>[] = []
  const countTimes = createCounter()
  const names = new WeakMap<Call, string>()
  let databaseKilled = false

  function nameOf(call: Call): string {
    const known = names.get(call)
    if (known !== undefined) return known
    const found = cloud.recorder.callerOf(call)
    const date = found?.caller.startsWith("task") ? readEnvironment(found.pid)?.["RUN_ID"]?.slice(0, 10) : ""
    const name = countTimes(`${found?.caller} ${date}: ${describeCall(call)}`)
    names.set(call, name)
    return name
  }

  async function harm(call: Call, moment: string): Promise<void> {
    const caller = cloud.recorder.callerOf(call)
    if (!caller) return
    const random = createRandomOf(seed, `${moment} ${nameOf(call)}`)
    if (!random.chance(TROUBLE_PROBABILITY) || happened.length >= TROUBLES_MAX) return
    const say = (what: string) => happened.push(`${what} ${moment} ${nameOf(call)}`)
    const kind = random.below(8)
    if (kind <= 2) {
      say("killed")
      process.kill(caller.pid, "SIGKILL")
      await wait(20)
      throw new InjectedError("ABORTED", "the caller is dead")
    }
    if (kind === 3) {
      say("delayed")
      await wait(random.below(600))
    } else if (kind === 4) {
      say("frozen for a while")
      process.kill(caller.pid, "SIGSTOP")
      underWay.push(wait(random.below(1_000)).then(() => resume(caller.pid)))
    } else if (call.server === "database") {
      if (kind === 5 && !databaseKilled) {
        databaseKilled = true
        say("database killed")
        underWay.push(
          cloud.databaseServer
            .kill()
            .then(() => cloud.databaseServer.restart())
            .then(() => cloud.reconnect()),
        )
      } else if (kind === 6) {
        say("connections cut")
        cloud.proxy.cut()
      } else if (moment === "before" && !/^(?:begin|commit|rollback)/.test(String(call.request))) {
        say("deadlock")
        throw new SqlError(1213, "40001", "Deadlock found when trying to get lock")
      }
    } else {
      const status = random.pick(statuses)
      say(status)
      throw new InjectedError(status, `injected: ${status}`)
    }
  }

  const random = createRandom(seed)
  const servers = [
    cloud.cloud.pubsub.faults,
    cloud.cloud.storage.faults,
    cloud.cloud.runJobs.faults,
    cloud.proxy.faults,
  ]
  const removals = servers.map((faults) =>
    faults.add({ matches: () => true, before: (call) => harm(call, "before"), after: (call) => harm(call, "after") }),
  )
  if (random.chance(0.2)) removals.push(cloud.cloud.storage.faults.add(truncateDownload({}, random.below(30))))
  cloud.relay.plan = (delivery) => planDelivery(createRandomOf(seed, countTimes(nameDelivery(delivery))), delivery)
  return {
    stop: async () => {
      for (const remove of removals) remove()
      cloud.relay.plan = () => ({ delaysMs: [0] })
      await Promise.all(underWay)
      return happened
    },
  }
}

/** Lost, late or twice. A request is never lost: it would be nobody's to find again, and Pub/Sub does not lose it. */
function planDelivery(random: Random, { path }: PushDelivery): { delaysMs: number[] } {
  const isLost = random.chance(0.1) && path === "/shard-reports"
  return { delaysMs: isLost ? [] : Array.from({ length: 1 + random.below(2) }, () => random.below(250)) }
}

/** Which date's, and of a report which shard's. */
function nameDelivery(delivery: PushDelivery): string {
  const { date, runId, dispatch, index } = messageOf(delivery).data as Partial<Record<string, string>>
  return `${delivery.path} ${date ?? runId?.slice(0, 10)} ${dispatch ?? 0}.${index ?? 0}`
}

/** Adds to a name how often it has come. */
function createCounter(): (name: string) => string {
  const counts = new Map<string, number>()
  return (name) => {
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return `${name} #${count}`
  }
}

function resume(pid: number): void {
  try {
    process.kill(pid, "SIGCONT")
  } catch {
    // It was killed meanwhile.
  }
}
