import { randomUUID } from "node:crypto"
import { join } from "node:path"
import type { protos } from "@google-cloud/run"
import { status } from "@grpc/grpc-js"
import type { Clock } from "../clock.ts"
import type { OrphanGuard } from "../processes/orphan-guard.ts"
import { lastSegment } from "./resource-names.ts"
import { type Attempt, type AttemptResult, startAttempt } from "./task-attempt.ts"

export interface ExecutionOptions {
  /** The full resource name. */
  name: string
  /** Its place among all executions of this server, from 1. */
  sequence: number
  /** The job's template with the overrides applied. */
  template: protos.google.cloud.run.v2.IExecutionTemplate
  taskCount: number
  /** How many tasks may run at once, from 1 to the task count. */
  parallelism: number
  maxRetries: number
  timeoutMs: number
  killGraceMs: number
  command: string[]
  cwd: string | undefined
  env: Record<string, string>
  /** The folder of this execution's logs. */
  folder: string
  clock: Clock
  guard: OrphanGuard
  onAttempt(event: AttemptEvent): void
}

type TaskState = "waiting" | "running" | "succeeded" | "failed" | "cancelled"

export interface Task {
  index: number
  uid: string
  state: TaskState
  /** The newest attempt, from 0; -1 before the first. */
  attempt: number
  startedAt: number | undefined
  endedAt: number | undefined
  lastResult: AttemptResult | undefined
}

/** A running attempt of a task, as tests and the demo look at it. */
export interface RunningTask {
  /** The full name of the execution. */
  execution: string
  taskIndex: number
  attempt: number
  pid: number
  /** Milliseconds since the epoch. */
  startedAt: number
  logFile: string
}

type AttemptView = Omit<RunningTask, "pid">

/** `result` says how an ended attempt went; `pid` is missing if its process could not be started. */
export type AttemptEvent =
  | ({ type: "started" } & RunningTask)
  | ({ type: "ended"; result: AttemptResult } & AttemptView & { pid: number | undefined })

/**
 * One execution: runs its tasks in the order of their indexes, some at a time, each until it succeeds or has no attempt
 * left. A failed task does not stop the others. Every step costs the same however many tasks there are.
 */
export class ExecutionRun {
  readonly options: ExecutionOptions
  readonly uid = randomUUID()
  readonly tasks: Task[]
  readonly counts = { running: 0, succeeded: 0, failed: 0, cancelled: 0, retried: 0 }
  readonly createdAt: number
  /** Settles when no task will run any more. */
  readonly ended: Promise<void>
  startedAt: number | undefined
  endedAt: number | undefined
  updatedAt: number
  /** Grows with every change: the fingerprint of this version of the resource. */
  changes = 0
  cancelRequested = false
  /** Why the first task that failed for good did so. */
  firstFailure: string | undefined

  readonly #resolve: () => void
  readonly #running = new Map<number, { attempt: Attempt; view: AttemptView }>()
  #nextIndex = 0
  /** Tasks that have failed and have attempts left. */
  #retries: Task[] = []
  #willStart = false

  constructor(options: ExecutionOptions) {
    this.options = options
    this.createdAt = options.clock.now()
    this.updatedAt = this.createdAt
    this.tasks = Array.from({ length: options.taskCount }, (_, index) => newTask(index))
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.#resolve = resolve
  }

  start(): void {
    if (this.cancelRequested) return
    this.startedAt = this.options.clock.now()
    this.#startNextTask()
  }

  /** Lets no further task start, and stops the running ones: with SIGTERM and the grace period, or at once. */
  cancel(how: "gracefully" | "at once"): void {
    if (this.endedAt !== undefined) return
    this.cancelRequested = true
    const waiting = [...this.#retries, ...this.tasks.slice(this.#nextIndex)]
    for (const task of waiting) this.#endTask(task, "cancelled")
    this.#retries = []
    this.#nextIndex = this.tasks.length
    for (const { attempt } of this.#running.values()) {
      if (how === "gracefully") attempt.stop()
      else attempt.signal("SIGKILL")
    }
    this.#changed()
  }

  /** Sends a signal to the process group of a running task; false if it does not run. */
  signalTask(index: number, signal: NodeJS.Signals): boolean {
    return this.#running.get(index)?.attempt.signal(signal) ?? false
  }

  runningTasks(): RunningTask[] {
    return [...this.#running.values()].flatMap(({ attempt: { pid }, view }) =>
      pid === undefined ? [] : [{ ...view, pid }],
    )
  }

  logFileOf(task: Task): string {
    return join(this.options.folder, `${task.index}-${Math.max(task.attempt, 0)}.log`)
  }

  /** Starting a process takes milliseconds: calls are answered between one and the next. */
  #startNextTask(): void {
    this.#willStart = false
    if (this.#running.size >= this.options.parallelism) return
    const task = this.#retries.shift() ?? this.tasks[this.#nextIndex++]
    if (!task) return
    this.#startAttempt(task)
    this.#startNextTaskSoon()
    this.#changed()
  }

  #startNextTaskSoon(): void {
    if (this.#willStart) return
    this.#willStart = true
    setImmediate(() => this.#startNextTask())
  }

  #startAttempt(task: Task): void {
    const { options } = this
    task.attempt++
    task.state = "running"
    task.startedAt ??= options.clock.now()
    this.counts.running++
    const logFile = this.logFileOf(task)
    const attempt = startAttempt({ ...options, env: this.#environmentOf(task), logFile })
    const view = {
      execution: options.name,
      taskIndex: task.index,
      attempt: task.attempt,
      startedAt: options.clock.now(),
      logFile,
    }
    this.#running.set(task.index, { attempt, view })
    if (attempt.pid !== undefined) options.onAttempt({ type: "started", ...view, pid: attempt.pid })
    void this.#awaitAttempt(task, attempt, view)
  }

  async #awaitAttempt(task: Task, attempt: Attempt, view: AttemptView): Promise<void> {
    const result = await attempt.ended
    this.#running.delete(task.index)
    this.counts.running--
    task.lastResult = result
    this.options.onAttempt({ type: "ended", ...view, pid: attempt.pid, result })
    this.#attemptEnded(task, result)
  }

  #attemptEnded(task: Task, result: AttemptResult): void {
    // Whether a task that was told to stop had finished its work cannot be known from its exit code.
    if (this.cancelRequested) this.#endTask(task, "cancelled")
    else if (result.code === status.OK) this.#endTask(task, "succeeded")
    else if (task.attempt < this.options.maxRetries) {
      // The count is of tasks that were retried, not of their retries.
      if (task.attempt === 0) this.counts.retried++
      this.#retries.push(task)
    } else {
      this.firstFailure ??= `Task ${this.taskId(task)} failed with message: ${result.message}`
      this.#endTask(task, "failed")
    }
    this.#changed()
    this.#startNextTaskSoon()
  }

  /** The last segment of a task's name. */
  taskId(task: Task): string {
    return `${lastSegment(this.options.name)}-task${task.index}`
  }

  #endTask(task: Task, state: "succeeded" | "failed" | "cancelled"): void {
    task.state = state
    task.endedAt = this.options.clock.now()
    this.counts[state]++
  }

  #changed(): void {
    this.changes++
    this.updatedAt = this.options.clock.now()
    const { succeeded, failed, cancelled } = this.counts
    if (this.endedAt === undefined && succeeded + failed + cancelled === this.tasks.length) {
      this.endedAt = this.updatedAt
      this.#resolve()
    }
  }

  /** https://cloud.google.com/run/docs/container-contract#jobs-env-vars */
  #environmentOf(task: Task): Record<string, string> {
    const [, , , , , job = ""] = this.options.name.split("/")
    return {
      ...this.options.env,
      CLOUD_RUN_JOB: job,
      CLOUD_RUN_EXECUTION: lastSegment(this.options.name),
      CLOUD_RUN_TASK_INDEX: String(task.index),
      CLOUD_RUN_TASK_COUNT: String(this.tasks.length),
      CLOUD_RUN_TASK_ATTEMPT: String(task.attempt),
    }
  }
}

function newTask(index: number): Task {
  return {
    index,
    uid: randomUUID(),
    state: "waiting",
    attempt: -1,
    startedAt: undefined,
    endedAt: undefined,
    lastResult: undefined,
  }
}
