import { setTimeout as wait } from "node:timers/promises"
import { type Call, type FaultStatus, InjectedError } from "../../services/local/faults.ts"
import { truncateDownload } from "../../services/local/storage/truncate-download.ts"
import { SqlError } from "./database-proxy.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import type { Random } from "./random.ts"

/** Of all calls, so many meet with something. A round has a few hundred calls. */
const TROUBLE_PROBABILITY = 0.01
/** So that every round comes to an end: tasks have three retries, and requests thirty deliveries. */
const TROUBLES_MAX = 4

const statuses: FaultStatus[] = ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"]

/** Lets everything happen that the other files try one by one, at random calls, until it is told to stop. */
export function startTrouble(cloud: FaultCloud, random: Random): { stop(): Promise<string[]> } {
  const happened: string[] = []
  const underWay: Promise<unknown>[] = []
  let databaseKilled = false

  async function harm(call: Call, moment: string): Promise<void> {
    const caller = cloud.recorder.callerOf(call)
    if (!caller || happened.length >= TROUBLES_MAX || !random.chance(TROUBLE_PROBABILITY)) return
    const say = (what: string) => happened.push(`${what} ${moment} ${caller.caller} ${call.server}.${call.method}`)
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
          cloud.mariadb
            .kill()
            .then(() => cloud.mariadb.restart())
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
  cloud.relay.plan = () => ({
    delaysMs: random.chance(0.1) ? [] : Array.from({ length: 1 + random.below(2) }, () => random.below(250)),
  })
  const losesRequests = cloud.relay.plan
  // A request that is lost is nobody's to find again: Pub/Sub does not lose it.
  cloud.relay.plan = (delivery) => {
    const plan = losesRequests(delivery)
    return delivery.path === "/shard-reports" || plan.delaysMs.length > 0 ? plan : { delaysMs: [0] }
  }
  return {
    stop: async () => {
      for (const remove of removals) remove()
      cloud.relay.plan = () => ({ delaysMs: [0] })
      await Promise.all(underWay)
      return happened
    },
  }
}

function resume(pid: number): void {
  try {
    process.kill(pid, "SIGCONT")
  } catch {
    // It was killed meanwhile.
  }
}
