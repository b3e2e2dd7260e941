import { randomInt } from "node:crypto"
import { join } from "node:path"
import type { protos } from "@google-cloud/run"
import { status } from "@grpc/grpc-js"
import type { Clock } from "../clock.ts"
import type { OrphanGuard } from "../processes/orphan-guard.ts"
import type { UnaryMethods } from "../service-methods.ts"
import { StatusError } from "../status-error.ts"
import { checkEtag, etagOf } from "./etags.ts"
import { type AttemptEvent, ExecutionRun, type RunningTask } from "./execution-run.ts"
import { executionResource } from "./execution-status.ts"
import type { Image } from "./job-template.ts"
import type { Operations } from "./operations.ts"
import { keyOfToken, takePage } from "./pages.ts"
import { checkName, isBelow, lastSegment, parentOf } from "./resource-names.ts"
import { durationMs, timestampOf } from "./timestamps.ts"

export interface ExecutionsOptions {
  images: Record<string, Image>
  /** Values by name. */
  secrets: Record<string, string> | undefined
  folder: string
  /** How many tasks run at once if the job's parallelism is 0. */
  slots: number
  killGraceMs: number
  clock: Clock
  guard: OrphanGuard
  onAttempt(event: AttemptEvent): void
}

// Cloud Run keeps the last 1,000 executions of a job.
const EXECUTIONS_KEPT_MAX = 1000

// As Kubernetes names what it generates: no vowels and nothing that looks like another character.
const SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
const SUFFIX_LENGTH = 5

/** All executions, in the order of their creation, by name. */
export class Executions {
  readonly #options: ExecutionsOptions
  readonly #runs = new Map<string, ExecutionRun>()
  #sequence = 0
  #stopped = false

  constructor(options: ExecutionsOptions) {
    this.#options = options
  }

  /** Makes an execution that is not stored or started yet. */
  create(jobName: string, template: protos.google.cloud.run.v2.IExecutionTemplate): ExecutionRun {
    const { images, secrets = {}, folder, slots, ...shared } = this.#options
    const task = template.template ?? {}
    const container = task.containers?.[0] ?? {}
    const image = images[container.image ?? ""]
    const taskCount = template.taskCount || 1
    const name = this.#newName(jobName)
    return new ExecutionRun({
      ...shared,
      name,
      sequence: ++this.#sequence,
      template,
      taskCount,
      parallelism: Math.min(template.parallelism || slots, taskCount),
      maxRetries: task.maxRetries ?? 0,
      timeoutMs: durationMs(task.timeout ?? {}),
      command: [...(container.command?.length ? container.command : (image?.command ?? [])), ...(container.args ?? [])],
      cwd: container.workingDir || image?.cwd,
      env: environmentOf(image, container.env ?? [], secrets),
      folder: join(folder, lastSegment(name)),
    })
  }

  /** Stores an execution, and starts it once the call that asked for it can be answered. */
  start(run: ExecutionRun): void {
    this.#runs.set(run.options.name, run)
    this.#forgetOld(parentOf(run.options.name))
    setImmediate(() => {
      if (!this.#stopped) run.start()
    })
  }

  find(name: string | null | undefined): ExecutionRun {
    const run = this.#runs.get(checkName("execution", name))
    if (!run)
      throw new StatusError(
        status.NOT_FOUND,
        `Resource '${lastSegment(name ?? "")}' of kind 'EXECUTION' does not exist: ${name}`,
      )
    return run
  }

  /** Newest first; `parent` may hold "-" for any job and any execution. */
  *below(parent: string, beforeSequence = Number.POSITIVE_INFINITY): Generator<ExecutionRun> {
    for (const run of [...this.#runs.values()].toReversed()) {
      if (run.options.sequence < beforeSequence && isBelow(parent, run.options.name)) yield run
    }
  }

  runningTasks(): RunningTask[] {
    return [...this.#runs.values()].flatMap((run) => run.runningTasks())
  }

  /** `execution` is a full name or its last segment. */
  signalTask(execution: string, taskIndex: number, signal: NodeJS.Signals): boolean {
    const name = lastSegment(execution)
    const run =
      this.#runs.get(execution) ?? [...this.#runs.values()].find((run) => lastSegment(run.options.name) === name)
    return run?.signalTask(taskIndex, signal) ?? false
  }

  /** Cancels and removes the executions of a job; settles when none of its tasks runs any more. */
  async removeAllOf(jobName: string): Promise<void> {
    const runs = [...this.below(jobName)]
    for (const run of runs) run.cancel("gracefully")
    await Promise.all(runs.map((run) => run.ended))
    for (const run of runs) this.#runs.delete(run.options.name)
  }

  /** Kills what runs. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const run of this.#runs.values()) run.cancel("at once")
    await Promise.all([...this.#runs.values()].map((run) => run.ended))
  }

  /** google.cloud.run.v2.Executions. */
  methods(operations: Operations): UnaryMethods {
    return {
      GetExecution: (request: protos.google.cloud.run.v2.IGetExecutionRequest) =>
        executionResource(this.find(request.name)),

      ListExecutions: (request: protos.google.cloud.run.v2.IListExecutionsRequest) => {
        const parent = checkName("job", request.parent)
        const before = keyOfToken(request, /^\d+$/)
        const runs = this.below(parent, before === undefined ? undefined : Number(before))
        const { items, nextPageToken } = takePage(runs, request, (run) => String(run.options.sequence))
        return { executions: items.map(executionResource), nextPageToken }
      },

      CancelExecution: (request: protos.google.cloud.run.v2.ICancelExecutionRequest) => {
        const run = this.find(request.name)
        checkEtag(etagOf(run.uid, run.changes), request.etag)
        if (run.endedAt !== undefined) {
          throw new StatusError(status.FAILED_PRECONDITION, `Execution has already completed: ${request.name}`)
        }
        if (request.validateOnly) return operations.done("Execution", executionResource(run))
        run.cancel("gracefully")
        return operations.open("Execution", () => executionResource(run), run.ended)
      },

      DeleteExecution: (request: protos.google.cloud.run.v2.IDeleteExecutionRequest) => {
        const run = this.find(request.name)
        checkEtag(etagOf(run.uid, run.changes), request.etag)
        if (run.endedAt === undefined) {
          throw new StatusError(status.FAILED_PRECONDITION, `Execution is running, cancel it first: ${request.name}`)
        }
        if (!request.validateOnly) this.#runs.delete(run.options.name)
        const deleteTime = timestampOf(this.#options.clock.now())
        return operations.done("Execution", { ...executionResource(run), deleteTime })
      },
    }
  }

  #newName(jobName: string): string {
    for (;;) {
      // Fourteen million suffixes for a thousand executions: a second round is rare.
      const suffix = Array.from(
        { length: SUFFIX_LENGTH },
        () => SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)],
      ).join("")
      const name = `${jobName}/executions/${lastSegment(jobName)}-${suffix}`
      if (!this.#runs.has(name)) return name
    }
  }

  #forgetOld(jobName: string): void {
    const [...runs] = this.below(jobName)
    for (const run of runs.slice(EXECUTIONS_KEPT_MAX)) {
      if (run.endedAt !== undefined) this.#runs.delete(run.options.name)
    }
  }
}

/** The environment of a container, before what Cloud Run adds. Of this machine's it holds PATH and HOME only. */
function environmentOf(
  image: Image | undefined,
  env: protos.google.cloud.run.v2.IEnvVar[],
  secrets: Record<string, string>,
): Record<string, string> {
  const { PATH, HOME } = process.env
  return {
    ...(PATH !== undefined && { PATH }),
    ...(HOME !== undefined && { HOME }),
    ...image?.env,
    ...Object.fromEntries(env.map((variable) => [variable.name ?? "", valueOf(variable, secrets)])),
  }
}

/** A secret has one version here, whichever is asked for; its name may be that of its project's too. */
function valueOf(
  { name, value, valueSource }: protos.google.cloud.run.v2.IEnvVar,
  secrets: Record<string, string>,
): string {
  const secret = valueSource?.secretKeyRef?.secret
  if (!secret) return value ?? ""
  const id = secret.slice(secret.lastIndexOf("/") + 1)
  if (Object.hasOwn(secrets, id)) return secrets[id] ?? ""
  const known = Object.keys(secrets).join(", ")
  throw new StatusError(
    status.FAILED_PRECONDITION,
    `Secret ${id}, for ${name}, was not found. This server has: ${known || "no secret"}`,
  )
}
