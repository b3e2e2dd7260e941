import { type ChildProcess, spawn } from "node:child_process"
import { appendFileSync, closeSync, mkdirSync, openSync } from "node:fs"
import { constants } from "node:os"
import { dirname } from "node:path"
import { status } from "@grpc/grpc-js"
import type { Clock } from "../clock.ts"
import type { OrphanGuard } from "../processes/orphan-guard.ts"

export interface AttemptOptions {
  /** The program and its arguments. */
  command: string[]
  cwd: string | undefined
  /** The whole environment: nothing is inherited. */
  env: Record<string, string>
  /** Where standard output and error go, without passing through this process. */
  logFile: string
  timeoutMs: number
  killGraceMs: number
  clock: Clock
  guard: OrphanGuard
}

export interface AttemptResult {
  /** Status code of the attempt: OK means that it succeeded. */
  code: status
  message: string
  /** At most one of these two is set; neither, if the process could not be started. */
  exitCode: number | undefined
  termSignal: number | undefined
}

export interface Attempt {
  /** Also the process group; undefined if the process could not be started. */
  pid: number | undefined
  /** Sends a signal to the whole process group; false if it is gone. */
  signal(signal: NodeJS.Signals): boolean
  /** SIGTERM now, SIGKILL after the grace period. */
  stop(): void
  ended: Promise<AttemptResult>
}

/** Starts a process in its own group and sees to it that it ends in time, and all its children with it. */
export function startAttempt(options: AttemptOptions): Attempt {
  let child: ChildProcess
  try {
    child = spawnLogged(options)
  } catch (error) {
    // No log folder, too long arguments, a NUL in them: the attempt has failed, the server goes on.
    return { pid: undefined, signal: () => false, stop() {}, ended: Promise.resolve(notStarted(options, error)) }
  }
  const pid = child.pid
  if (pid !== undefined) options.guard.add(pid)

  let over = false
  let timedOut = false
  let cancelKill: (() => void) | undefined
  const signal = (name: NodeJS.Signals) => !over && pid !== undefined && signalGroup(pid, name)
  const stop = () => {
    if (over || cancelKill) return
    signal("SIGTERM")
    cancelKill = options.clock.after(options.killGraceMs, () => signal("SIGKILL"))
  }
  const cancelTimeout = options.clock.after(options.timeoutMs, () => {
    timedOut = true
    appendToLog(
      options.logFile,
      `Terminating task because it has reached the maximum timeout of ${options.timeoutMs / 1000} seconds.`,
    )
    stop()
  })

  const { promise: ended, resolve } = Promise.withResolvers<AttemptResult>()
  const end = (result: AttemptResult) => {
    over = true // from here on its number may belong to another process
    cancelTimeout()
    cancelKill?.()
    if (pid !== undefined) {
      // A container ends with its first process, and everything else in it too.
      signalGroup(pid, "SIGKILL")
      options.guard.remove(pid)
    }
    resolve(result)
  }
  child.once("error", (error) => {
    if (pid === undefined) end(notStarted(options, error))
  })
  child.once("exit", (exitCode, signalName) => end(resultOf(exitCode, signalName, timedOut)))
  return { pid, signal, stop, ended }
}

function spawnLogged({ command, cwd, env, logFile }: AttemptOptions): ChildProcess {
  const [program = "", ...args] = command
  mkdirSync(dirname(logFile), { recursive: true })
  const log = openSync(logFile, "a")
  try {
    return spawn(program, args, { cwd, env, detached: true, stdio: ["ignore", log, log] })
  } finally {
    closeSync(log)
  }
}

function resultOf(exitCode: number | null, signalName: NodeJS.Signals | null, timedOut: boolean): AttemptResult {
  const termSignal = signalName === null ? undefined : constants.signals[signalName]
  const ending = { exitCode: exitCode ?? undefined, termSignal }
  // An attempt that was stopped by its timeout has failed, even if it then exits with 0.
  if (timedOut) return { code: status.DEADLINE_EXCEEDED, message: "The configured timeout was reached.", ...ending }
  if (exitCode === 0) return { code: status.OK, message: "", ...ending }
  if (termSignal !== undefined) {
    return { code: status.ABORTED, message: `Container terminated on signal ${termSignal}.`, ...ending }
  }
  return { code: status.ABORTED, message: "The container exited with an error.", ...ending }
}

function notStarted(options: AttemptOptions, error: unknown): AttemptResult {
  const reason = error instanceof Error ? error.message : String(error)
  const where = options.cwd === undefined ? "" : ` in ${options.cwd}`
  const message = `Application failed to start: ${reason} (${JSON.stringify(options.command)}${where})`
  appendToLog(options.logFile, message)
  return { code: status.FAILED_PRECONDITION, message, exitCode: undefined, termSignal: undefined }
}

function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(-group, signal)
  } catch {
    // ESRCH: the group is gone. EPERM: on macOS, only zombies are left in it.
    return false
  }
}

function appendToLog(logFile: string, line: string): void {
  try {
    appendFileSync(logFile, `${line}\n`)
  } catch {
    // The folder is gone; the attempt's result says the same.
  }
}
