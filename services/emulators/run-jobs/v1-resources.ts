import { lastSegment } from "./resource-names.ts"
import { toV1Container } from "./v1-jobs.ts"

// Jobs, executions and tasks of v2 in the form of v1: https://cloud.google.com/run/docs/reference/rest/v1/namespaces.executions

type Json = Record<string, unknown>

interface V2Condition {
  type?: string
  state?: string
  message?: string
  reason?: string
  executionReason?: string
  lastTransitionTime?: string
}

export interface V2Resource extends Json {
  name: string
  uid?: string
  generation?: string
  observedGeneration?: string
  etag?: string
  createTime?: string
  startTime?: string
  completionTime?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  conditions?: V2Condition[]
  terminalCondition?: V2Condition
}

export const JOB_LABEL = "run.googleapis.com/job"
export const EXECUTION_LABEL = "run.googleapis.com/execution"
const LOCATION_LABEL = "cloud.googleapis.com/location"

const part = (name: string, at: number) => name.split("/")[at] ?? ""

function toMetadata(resource: V2Resource, labels: Record<string, string>): Json {
  const { name, uid, generation, etag, createTime, annotations } = resource
  return {
    name: lastSegment(name),
    namespace: part(name, 1),
    uid,
    generation: Number(generation ?? 1),
    resourceVersion: etag,
    creationTimestamp: createTime,
    selfLink: `/apis/run.googleapis.com/v1/namespaces/${part(name, 1)}/${lastSegment(name)}`,
    labels: { ...resource.labels, ...labels, [LOCATION_LABEL]: part(name, 3) },
    annotations: annotations ?? {},
  }
}

export function toJob(job: V2Resource): Json {
  const { template, executionCount, latestCreatedExecution } = job as V2Resource & {
    template?: Json
    executionCount?: number
    latestCreatedExecution?: { name: string; createTime?: string; completionTime?: string }
  }
  return {
    apiVersion: "run.googleapis.com/v1",
    kind: "Job",
    metadata: toMetadata(job, {}),
    spec: { template: { metadata: { labels: {}, annotations: {} }, spec: toExecutionSpec(template ?? {}) } },
    status: {
      observedGeneration: Number(job.observedGeneration ?? 1),
      conditions: toConditions([job.terminalCondition ?? {}]),
      executionCount: executionCount ?? 0,
      ...(latestCreatedExecution
        ? {
            latestCreatedExecution: {
              name: lastSegment(latestCreatedExecution.name),
              creationTimestamp: latestCreatedExecution.createTime,
              completionTimestamp: latestCreatedExecution.completionTime,
            },
          }
        : {}),
    },
  }
}

export function toExecution(execution: V2Resource): Json {
  const counts = ["runningCount", "succeededCount", "failedCount", "cancelledCount", "retriedCount"]
  return {
    apiVersion: "run.googleapis.com/v1",
    kind: "Execution",
    metadata: toMetadata(execution, { [JOB_LABEL]: part(execution.name, 5) }),
    spec: toExecutionSpec(execution),
    status: {
      observedGeneration: Number(execution.observedGeneration ?? 1),
      startTime: execution.startTime,
      completionTime: execution.completionTime,
      ...Object.fromEntries(counts.flatMap((name) => (execution[name] ? [[name, execution[name]]] : []))),
      conditions: toConditions(execution.conditions ?? []),
      logUri: execution["logUri"],
    },
  }
}

export function toTask(task: V2Resource): Json {
  const { index, retried, lastAttemptResult } = task as V2Resource & {
    index?: number
    retried?: number
    lastAttemptResult?: Json
  }
  return {
    apiVersion: "run.googleapis.com/v1",
    kind: "Task",
    metadata: toMetadata(task, { [JOB_LABEL]: part(task.name, 5), [EXECUTION_LABEL]: part(task.name, 7) }),
    spec: toTaskSpec(task),
    status: {
      observedGeneration: Number(task.observedGeneration ?? 1),
      index: index ?? 0,
      retried: retried ?? 0,
      startTime: task.startTime,
      completionTime: task.completionTime,
      conditions: toConditions(task.conditions ?? []),
      ...(lastAttemptResult ? { lastAttemptResult } : {}),
    },
  }
}

function toExecutionSpec({ taskCount, parallelism, template }: Json): Json {
  return { taskCount, parallelism, template: { spec: toTaskSpec((template ?? {}) as Json) } }
}

function toTaskSpec({ containers, maxRetries, timeout, serviceAccount }: Json): Json {
  return {
    containers: ((containers ?? []) as Json[]).map(toV1Container),
    maxRetries: maxRetries ?? 0,
    timeoutSeconds: typeof timeout === "string" ? timeout.replace(/(\.\d+)?s$/, "") : undefined,
    serviceAccountName: serviceAccount,
  }
}

const states: Record<string, string> = { CONDITION_SUCCEEDED: "True", CONDITION_FAILED: "False" }

function toConditions(conditions: V2Condition[]): Json[] {
  return conditions.map(({ type, state, message, reason, executionReason, lastTransitionTime }) => {
    const why = executionReason ? toPascal(executionReason) : reason
    return {
      type,
      status: states[state ?? ""] ?? "Unknown",
      ...(message ? { message } : {}),
      ...(why ? { reason: why } : {}),
      lastTransitionTime,
    }
  })
}

/** `NON_ZERO_EXIT_CODE` of v2 is `NonZeroExitCode` in v1, and `CANCELLED` is what gcloud waits for as `Cancelled`. */
const toPascal = (reason: string) =>
  reason.toLowerCase().replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
