import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Call } from "../../services/emulators/faults.ts"
import type { FaultCloud } from "./fault-cloud.ts"
import { isAlive, readEnvironment } from "./find-process.ts"

const buildFolder = fileURLToPath(new URL("../../.build", import.meta.url))

export interface FrozenTask {
  pid: number
  env: Record<string, string>
  /** Lets it go on, and waits for its end. */
  thaw(): Promise<void>
}

/**
 * Stops the first task that has been answered a call of this kind, with SIGSTOP: it has not read the answer yet, and
 * whatever it holds it goes on holding.
 */
export function freezeTaskAfter(cloud: FaultCloud, matches: (call: Call) => boolean): { frozen: Promise<FrozenTask> } {
  const { promise, resolve } = Promise.withResolvers<FrozenTask>()
  let isDue = true
  const after = (call: Call) => {
    const caller = isDue ? cloud.recorder.callerOf(call) : undefined
    if (!caller?.caller.startsWith("task")) return
    isDue = false
    const { pid } = caller
    process.kill(pid, "SIGSTOP")
    for (const remove of removals) remove()
    const thaw = async () => {
      if (isAlive(pid)) process.kill(pid, "SIGCONT")
      await cloud.waitFor("the end of the frozen task", () => (isAlive(pid) ? undefined : true))
    }
    resolve({ pid, env: readEnvironment(pid) ?? {}, thaw })
  }
  const servers = [cloud.proxy.faults, cloud.cloud.storage.faults, cloud.cloud.pubsub.faults]
  const removals = servers.map((faults) => faults.add({ matches, after }))
  return { frozen: promise }
}

/**
 * Starts the next attempt of a task that nobody can see any more, as Cloud Run does when a machine is lost. Settles
 * with its exit code.
 */
export async function startNextAttempt(cloud: FaultCloud, env: Record<string, string>): Promise<number | null> {
  const attempt = String(Number(env["CLOUD_RUN_TASK_ATTEMPT"]) + 1)
  const child = spawn(process.execPath, [`${buildFolder}/worker.cjs`], {
    env: { ...env, CLOUD_RUN_TASK_ATTEMPT: attempt },
    stdio: "ignore",
  })
  if (child.pid !== undefined) cloud.extras.add(child.pid)
  const [code] = (await once(child, "exit")) as [number | null]
  return code
}
