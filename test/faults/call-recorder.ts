import { setTimeout as wait } from "node:timers/promises"
import { type Call, type Fault, type Faults, InjectedError } from "../../services/emulators/faults.ts"
import type { Cloud } from "../../services/local/cloud.ts"
import type { DatabaseProxy } from "./database-proxy.ts"
import { createProcessFinder, isAlive, readEnvironment } from "./find-process.ts"

/** One external call of one of the programs under test. */
export interface RecordedCall {
  /** Its place among all calls. */
  number: number
  /** `planner`, `finalizer`, or `task 0 attempt 0`. */
  caller: string
  pid: number
  /** What is called, without what differs from run to run. */
  signature: string
  /** The signature and how often the caller has made such a call: the same call in a repetition of the run. */
  key: string
  /** The port that it came from: calls of one connection have the same. */
  clientPort: number | undefined
  /** Whether it is a statement of a transaction: from its BEGIN to its COMMIT or ROLLBACK. */
  isInTransaction: boolean
}

export type Moment = "before" | "after"

export interface CallRecorder {
  /** Forgets what was recorded, and counts from one again. */
  restart(): void
  calls(): RecordedCall[]
  /** Kills the caller at a call; returns whether that has happened, and the function that gives it up. */
  killAt(key: string, moment: Moment): Armed
  /** Does something at a call, once, while it waits. */
  at(key: string, moment: Moment, act: (call: RecordedCall) => Promise<void>): Armed
  /** Does something after each call of some, before its answer is passed on; returns the function that ends it. */
  listen(pattern: RegExp, act: () => Promise<void>): () => void
  /** Everything that a process does next, for faults that look at the caller. */
  callerOf(call: Call): { caller: string; pid: number } | undefined
  /** Further processes to be told from others, with their names. */
  processes: Map<number, string>
  stop(): void
}

/** Something that is to happen at a call. */
export interface Armed {
  happened(): boolean
  /** Gives it up. */
  cancel(): void
}

const DEATH_TIMEOUT_MS = 10_000

/** Watches every call of planner, finalizer and tasks, in the order in which they reach the servers. */
export function recordCalls(cloud: Cloud, proxy: DatabaseProxy): CallRecorder {
  const findProcess = createProcessFinder()
  const processes = new Map<number, string>()
  const ports = {
    pubsub: cloud.pubsub.port,
    storage: Number(new URL(cloud.storage.url).port),
    run: cloud.runJobs.port,
    database: proxy.port,
  }
  let calls: RecordedCall[] = []
  let counts = new Map<string, number>()
  let armed: { key: string; moment: Moment; act: (call: RecordedCall) => Promise<void>; happened: boolean } | undefined
  const listeners = new Set<{ pattern: RegExp; act: () => Promise<void> }>()
  const recorded = new WeakMap<Call, RecordedCall>()
  const isInTransaction = createTransactionTracker()

  function nameOf(pid: number): string | undefined {
    if (pid === cloud.services.planner.pid) return "planner"
    if (pid === cloud.services.finalizer.pid) return "finalizer"
    const known = processes.get(pid)
    if (known !== undefined) return known
    const env = readEnvironment(pid)
    if (!env?.CLOUD_RUN_TASK_INDEX) return undefined
    const name = `task ${env.CLOUD_RUN_TASK_INDEX} attempt ${env.CLOUD_RUN_TASK_ATTEMPT}`
    processes.set(pid, name)
    return name
  }

  function callerOf(call: Call): { caller: string; pid: number } | undefined {
    if (call.clientPort === undefined) return undefined
    const { planner, finalizer } = cloud.services
    const services = [planner.pid, finalizer.pid].filter((pid) => pid !== undefined)
    const tasks = cloud.runJobs.tasks().map((task) => task.pid)
    const connection = { clientPort: call.clientPort, serverPort: ports[call.server] }
    const pid = findProcess(connection, [...tasks, ...services, ...processes.keys()])
    const caller = pid === undefined ? undefined : nameOf(pid)
    return pid === undefined || caller === undefined ? undefined : { caller, pid }
  }

  async function reach(call: RecordedCall, moment: Moment): Promise<void> {
    if (!armed || armed.happened || armed.key !== call.key || armed.moment !== moment) return
    armed.happened = true
    await armed.act(call)
  }

  function at(key: string, moment: Moment, act: (call: RecordedCall) => Promise<void>): Armed {
    const mine = { key, moment, act, happened: false }
    armed = mine
    return {
      happened: () => mine.happened,
      cancel: () => {
        if (armed === mine) armed = undefined
      },
    }
  }

  async function kill(call: RecordedCall, moment: Moment): Promise<void> {
    process.kill(call.pid, "SIGKILL")
    for (const deadline = Date.now() + DEATH_TIMEOUT_MS; isAlive(call.pid); await wait(2)) {
      if (Date.now() > deadline) throw new Error(`process ${call.pid} does not die`)
    }
    // What the dead process asked for is not done; nobody reads this.
    if (moment === "before") throw new InjectedError("ABORTED", "the caller is dead")
  }

  const watch: Fault = {
    matches: () => true,
    before: async (call) => {
      const caller = callerOf(call)
      if (!caller) return
      const signature = describeCall(call)
      const counted = `${caller.caller}: ${signature}`
      const count = (counts.get(counted) ?? 0) + 1
      counts.set(counted, count)
      const key = `${counted} #${count}`
      const { clientPort } = call
      const entry = {
        number: calls.length,
        ...caller,
        signature,
        key,
        clientPort,
        isInTransaction: isInTransaction(call),
      }
      calls.push(entry)
      recorded.set(call, entry)
      await reach(entry, "before")
    },
    after: async (call) => {
      const entry = recorded.get(call)
      if (!entry) return
      for (const { pattern, act } of listeners) if (pattern.test(entry.key)) await act()
      await reach(entry, "after")
    },
  }
  const servers: Faults[] = [cloud.pubsub.faults, cloud.storage.faults, cloud.runJobs.faults, proxy.faults]
  const removals = servers.map((faults) => faults.add(watch))
  return {
    restart: () => {
      calls = []
      counts = new Map()
    },
    calls: () => calls,
    killAt: (key, moment) => at(key, moment, (call) => kill(call, moment)),
    at,
    listen: (pattern, act) => {
      const listener = { pattern, act }
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    callerOf,
    processes,
    stop: () => {
      for (const remove of removals) remove()
    },
  }
}

/** Tells of each call to the database, in their order, whether it is a statement of a transaction. */
function createTransactionTracker(): (call: Call) => boolean {
  const open = new Set<number | undefined>()
  return ({ server, method, request, clientPort }) => {
    if (server !== "database") return false
    const statement = String(request)
    if (method === "connect") open.delete(clientPort)
    else if (/^(?:begin|start transaction)\b/i.test(statement)) open.add(clientPort)
    const isInside = open.has(clientPort)
    if (/^(?:commit|rollback)\b/i.test(statement)) open.delete(clientPort)
    return isInside
  }
}

const SIGNATURE_CHARACTERS_MAX = 160

/** `database.query update runs set state = ? where …`: the same for the same call in another run. */
export function describeCall({ server, method, resource, request }: Call): string {
  const query = (request as { query?: { alt?: string; prefix?: string } }).query
  const what = server === "database" ? normalizeSql(String(request)) : `${resource} ${query?.alt ?? ""}`
  return `${server}.${method} ${withoutIds(what).trim()}`.slice(0, SIGNATURE_CHARACTERS_MAX).trim()
}

function normalizeSql(text: string): string {
  return (
    text
      .replaceAll(/'(?:[^'\\]|\\.|'')*'/g, "?")
      .replaceAll(/\b-?\d+\b/g, "?")
      .replaceAll(/\s+/g, " ")
      // How many shards there are is not what is asked.
      .replace(/(\(\?[^)]*\))(?:, \(\?[^)]*\))+/, "$1, …")
      .replaceAll(/\bin \(\?(?:, \?)*\)/gi, "in (…)")
      .replaceAll(/\bCASE .*? END\b/g, "CASE …")
      .replaceAll(/select `([a-z_]+)`(?:, `[a-z_]+`)+/gi, "select `$1`, …")
      .replaceAll(/\(`([a-z_]+)`(?:, `[a-z_]+`)+\)/gi, "(`$1`, …)")
  )
}

function withoutIds(text: string): string {
  return text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d[-:]\d\d[-:]\d\d\.\d+Z/g, "TIME")
    .replaceAll(/\d{4}-\d\d-\d\d-\d+/g, "RUN")
    .replaceAll(/\d{4}-\d\d-\d\d/g, "DATE")
    .replaceAll(/\b\d{10,}\b/g, "ID")
    .replaceAll(/daybook-worker-[a-z0-9]{5}\b/g, "EXECUTION")
}
