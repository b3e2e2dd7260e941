import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { setTimeout as wait } from "node:timers/promises"
import type { OrphanGuard } from "../emulators/processes/orphan-guard.ts"
import { endProcess } from "./end-process.ts"
import { findFreePort } from "./free-port.ts"

/** A service of Cloud Run as it is here: one process behind one address. */
export interface ServiceProcess {
  /** The same for all its life. */
  readonly url: string
  /** Of the process that runs now, or ran last. */
  readonly pid: number | undefined
  /** How often it was started anew because it had ended by itself. */
  readonly restarts: number
  readonly logFile: string
  /** Ends the process, which is then started again, as Cloud Run does; false if there is none. */
  kill(signal?: NodeJS.Signals): boolean
  /** Settles when the service answers. */
  ready(): Promise<void>
  /** Ends it for good. */
  stop(): Promise<void>
}

export interface ServiceOptions {
  name: string
  /** The program and its arguments. */
  command: string[]
  /** The whole environment, but for PORT and HOST. */
  env: Record<string, string>
  /** A free one by default. */
  port?: number
  /** Its output is appended here. */
  logFile: string
  guard: OrphanGuard
  /** What a process that keeps ending waits for at most before it is started again; 5 s by default. */
  restartMaxMs?: number | undefined
  log: (line: string) => void
  /** Gives up starting it; what runs is stopped by `stop` alone. */
  signal?: AbortSignal | undefined
}

const START_TIMEOUT_MS = 60_000
const POLL_MS = 20
// Google's: https://cloud.google.com/run/docs/container-contract#instance-shutdown
const KILL_GRACE_MS = 10_000
const RESTART_MIN_MS = 50
const RESTART_MAX_MS = 5_000
// A process that lived this long was well, and the next one is started soon.
const HEALTHY_MS = 10_000
const LOG_TAIL_LINES = 15

/** Starts a service and keeps it running until it is stopped. Fails if the first process does not come up. */
export async function startService(options: ServiceOptions): Promise<ServiceProcess> {
  const { name, guard, log, signal } = options
  signal?.throwIfAborted()
  const port = options.port ?? (await findFreePort())
  const url = `http://127.0.0.1:${port}`
  const env = { ...options.env, PORT: String(port), HOST: "127.0.0.1" }
  const stopping = new AbortController()
  let child: ChildProcess | undefined
  let restarts = 0
  let ended = run()

  /** Settles when a process has ended, with what it ended. */
  async function run(): Promise<string> {
    const running = spawnLogged(options, env)
    child = running
    const { pid } = running
    if (pid !== undefined) guard.add(pid)
    const ending = await once(running, "exit").then(
      (values) => describeEnd(values as [number | null, NodeJS.Signals | null]),
      (error: Error) => `could not be run (${error.message})`,
    )
    if (pid !== undefined) guard.remove(pid)
    child = undefined
    return ending
  }

  async function keepRunning(): Promise<void> {
    let backoffMs = RESTART_MIN_MS
    for (let startedAt = Date.now(); ; startedAt = Date.now()) {
      const ending = await ended
      if (stopping.signal.aborted) return
      if (Date.now() - startedAt > HEALTHY_MS) backoffMs = RESTART_MIN_MS
      log(`${name} ${ending} and is started again in ${backoffMs} ms; its log is ${options.logFile}`)
      await wait(backoffMs, undefined, { signal: stopping.signal }).catch(() => undefined)
      if (stopping.signal.aborted) return
      backoffMs = Math.min(backoffMs * 2, options.restartMaxMs ?? RESTART_MAX_MS)
      restarts++
      ended = run()
    }
  }

  const isUp = async () => (await fetch(`${url}/healthz`).catch(() => undefined))?.ok === true

  async function ready(): Promise<void> {
    for (const deadline = Date.now() + START_TIMEOUT_MS; !(await isUp()); await wait(POLL_MS)) {
      if (Date.now() > deadline || stopping.signal.aborted) throw new Error(`${name} does not answer at ${url}`)
    }
  }

  const service: ServiceProcess = {
    url,
    get pid() {
      return child?.pid
    },
    get restarts() {
      return restarts
    },
    logFile: options.logFile,
    kill: (signal = "SIGKILL") => child?.kill(signal) ?? false,
    ready,
    stop: async () => {
      stopping.abort()
      await endProcess((name) => child?.kill(name), ended, KILL_GRACE_MS)
    },
  }
  const failed = ended.then(async (ending) => {
    throw new Error(`${name} ${ending} at its start:\n${await tailOf(options.logFile)}`)
  })
  const aborted = new Promise<void>((_resolve, reject) =>
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true }),
  )
  try {
    await Promise.race([ready(), failed, aborted])
  } catch (error) {
    await service.stop()
    throw error
  }
  for (const late of [failed, aborted]) late.catch(() => undefined)
  void keepRunning()
  return service
}

function spawnLogged({ command, logFile }: ServiceOptions, env: Record<string, string>): ChildProcess {
  const [program = "", ...args] = command
  const file = openSync(logFile, "a")
  try {
    // A process group of its own: Ctrl-C is for the cloud, which then stops its services in order.
    return spawn(program, args, { env, detached: true, stdio: ["ignore", file, file] })
  } finally {
    closeSync(file)
  }
}

function describeEnd([exitCode, signal]: [number | null, NodeJS.Signals | null]): string {
  return signal === null ? `exited with ${exitCode}` : `was ended by ${signal}`
}

async function tailOf(file: string): Promise<string> {
  return (await readFile(file, "utf8")).trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n")
}
