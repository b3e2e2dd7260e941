import type { protos } from "@google-cloud/run"
import { status } from "@grpc/grpc-js"
import { StatusError } from "../status-error.ts"
import { checkLimits } from "./container-limits.ts"
import { refuse } from "./refusals.ts"
import { durationMs } from "./timestamps.ts"

type ExecutionTemplate = protos.google.cloud.run.v2.IExecutionTemplate
type TaskTemplate = protos.google.cloud.run.v2.ITaskTemplate
type Container = protos.google.cloud.run.v2.IContainer
type EnvVar = protos.google.cloud.run.v2.IEnvVar

/** What the name of an image runs on this machine. */
export interface Image {
  /** Its entry point: the program and its first arguments. */
  command: string[]
  cwd?: string
  env?: Record<string, string>
}

// https://cloud.google.com/run/quotas and https://cloud.google.com/run/docs/configuring/task-timeout
const TASK_COUNT_MAX = 10_000
const RETRIES_DEFAULT = 3
const RETRIES_MAX = 10
const TIMEOUT_DEFAULT_S = 600
const TIMEOUT_MAX_MS = 168 * 3600 * 1000

// Set by Cloud Run itself; a deployment that names one is refused.
const RESERVED_ENV = ["JOB", "EXECUTION", "TASK_INDEX", "TASK_COUNT", "TASK_ATTEMPT"].map((name) => `CLOUD_RUN_${name}`)

/** Checks the template of a job and fills in the defaults, as Google does when a job is created. */
export function completeTemplate(
  template: ExecutionTemplate | null | undefined,
  images: Record<string, Image>,
): ExecutionTemplate {
  const task = template?.template
  if (!template || !task) return refuse("template.template", "is required")
  const taskCount = template.taskCount || 1
  const parallelism = template.parallelism || 0
  checkTaskCount("template.task_count", taskCount, parallelism)
  return { ...template, taskCount, parallelism, template: completeTask(task, images) }
}

/** The API wants `parallelism <= task_count`, for a job as well as for an execution with another task count. */
export function checkTaskCount(field: string, taskCount: number, parallelism: number): void {
  if (taskCount < 1 || taskCount > TASK_COUNT_MAX)
    refuse(field, `must be between 1 and ${TASK_COUNT_MAX}: ${taskCount}`)
  if (parallelism < 0) refuse("template.parallelism", `must not be negative: ${parallelism}`)
  if (parallelism > taskCount) {
    refuse(field, `must be greater or equal than parallelism: task count ${taskCount}, parallelism ${parallelism}`)
  }
}

export function checkTimeout(field: string, timeout: protos.google.protobuf.IDuration): void {
  const ms = durationMs(timeout)
  if (!(ms > 0 && ms <= TIMEOUT_MAX_MS)) refuse(field, `must be more than 0 s and at most 168 h: ${ms / 1000} s`)
}

export function checkEnv(field: string, env: EnvVar[]): void {
  const seen = new Set<string>()
  for (const { name, valueSource } of env) {
    if (seen.has(name ?? "")) refuse(field, `the name ${name} is given twice`)
    seen.add(name ?? "")
    if (!name || /[=\0]/.test(name)) refuse(field, `not the name of an environment variable: "${name ?? ""}"`)
    if (RESERVED_ENV.includes(name)) refuse(field, `the name ${name} is reserved: its value is set by the system`)
    if (valueSource && !valueSource.secretKeyRef?.secret) refuse(field, `${name} names no secret`)
  }
}

function completeTask(task: TaskTemplate, images: Record<string, Image>): TaskTemplate {
  const [container, second] = task.containers ?? []
  if (!container) return refuse("template.template.containers", "exactly one container is required")
  if (second) unimplemented("more than one container")
  if (task.volumes?.length) unimplemented("volumes")
  checkContainer(container, images)
  const maxRetries = task.maxRetries ?? RETRIES_DEFAULT
  if (maxRetries < 0 || maxRetries > RETRIES_MAX) {
    refuse("template.template.max_retries", `must be between 0 and ${RETRIES_MAX}: ${maxRetries}`)
  }
  const timeout = task.timeout ?? { seconds: TIMEOUT_DEFAULT_S, nanos: 0 }
  checkTimeout("template.template.timeout", timeout)
  return { ...task, maxRetries, timeout }
}

function checkContainer(container: Container, images: Record<string, Image>): void {
  const { image } = container
  if (!image) return refuse("template.template.containers[0].image", "is required")
  if (!Object.hasOwn(images, image)) {
    const known = Object.keys(images).join(", ")
    throw new StatusError(status.NOT_FOUND, `Image '${image}' not found. This server runs: ${known || "no image"}`)
  }
  if (container.sourceCode) unimplemented("source_code")
  if (container.volumeMounts?.length) unimplemented("volume_mounts")
  if (container.startupProbe || container.livenessProbe || container.readinessProbe) unimplemented("probes")
  checkEnv("template.template.containers[0].env", container.env ?? [])
  checkLimits("template.template.containers[0].resources.limits", container.resources?.limits ?? {})
}

function unimplemented(what: string): never {
  throw new StatusError(status.UNIMPLEMENTED, `The local Cloud Run does not offer ${what}`)
}
