import { pathToFileURL } from "node:url"
import type { protos } from "@google-cloud/run"
import { etagOf } from "./etags.ts"
import type { ExecutionRun, Task } from "./execution-run.ts"
import { lastSegment, parentOf } from "./resource-names.ts"
import { timestampOf } from "./timestamps.ts"

type Execution = protos.google.cloud.run.v2.IExecution
type ExecutionReference = protos.google.cloud.run.v2.IExecutionReference
type Condition = protos.google.cloud.run.v2.ICondition
type TaskResource = protos.google.cloud.run.v2.ITask

/** The Execution resource as it is now. */
export function executionResource(run: ExecutionRun): Execution {
  const { options, counts } = run
  return {
    name: options.name,
    uid: run.uid,
    generation: 1,
    observedGeneration: 1,
    labels: options.template.labels ?? {},
    annotations: options.template.annotations ?? {},
    createTime: timestampOf(run.createdAt),
    startTime: timestampOf(run.startedAt),
    completionTime: timestampOf(run.endedAt),
    updateTime: timestampOf(run.updatedAt),
    launchStage: "GA",
    job: lastSegment(parentOf(options.name)),
    parallelism: options.parallelism,
    taskCount: options.taskCount,
    template: options.template.template ?? null,
    reconciling: run.endedAt === undefined,
    conditions: executionConditions(run),
    runningCount: counts.running,
    succeededCount: counts.succeeded,
    failedCount: counts.failed,
    cancelledCount: counts.cancelled,
    retriedCount: counts.retried,
    logUri: pathToFileURL(options.folder).href,
    etag: etagOf(run.uid, run.changes),
  }
}

/** The short form of an execution that its job shows. */
export function executionReference(run: ExecutionRun): ExecutionReference {
  return {
    name: lastSegment(run.options.name),
    createTime: timestampOf(run.createdAt),
    completionTime: timestampOf(run.endedAt),
    completionStatus: completionStatus(run),
  }
}

/** The Task resource as it is now. */
export function taskResource(run: ExecutionRun, task: Task): TaskResource {
  const template = run.options.template.template ?? {}
  const result = task.lastResult
  return {
    name: `${run.options.name}/tasks/${run.taskId(task)}`,
    uid: task.uid,
    generation: 1,
    observedGeneration: 1,
    labels: run.options.template.labels ?? {},
    annotations: run.options.template.annotations ?? {},
    createTime: timestampOf(run.createdAt),
    scheduledTime: timestampOf(task.startedAt),
    startTime: timestampOf(task.startedAt),
    completionTime: timestampOf(task.endedAt),
    updateTime: timestampOf(task.endedAt ?? task.startedAt ?? run.createdAt),
    job: lastSegment(parentOf(run.options.name)),
    execution: lastSegment(run.options.name),
    containers: template.containers ?? [],
    maxRetries: template.maxRetries ?? 0,
    timeout: template.timeout ?? null,
    serviceAccount: template.serviceAccount ?? "",
    reconciling: task.endedAt === undefined,
    conditions: taskConditions(run, task),
    index: task.index,
    retried: Math.max(task.attempt, 0),
    lastAttemptResult: result
      ? {
          status: { code: result.code, message: result.message },
          exitCode: result.exitCode ?? 0,
          termSignal: result.termSignal ?? 0,
        }
      : null,
    logUri: pathToFileURL(run.logFileOf(task)).href,
  }
}

// The three conditions of an execution, as https://cloud.google.com/run/docs/reference/rest/v1/ExecutionStatus names
// them: ResourcesAvailable, Started and Completed.
function executionConditions(run: ExecutionRun): Condition[] {
  const begun: Condition = {
    state: run.startedAt === undefined ? "CONDITION_PENDING" : "CONDITION_SUCCEEDED",
    lastTransitionTime: timestampOf(run.startedAt ?? run.createdAt),
  }
  const completed: Condition = {
    ...COMPLETED_OF_EXECUTION[completionStatus(run)](run),
    lastTransitionTime: timestampOf(run.endedAt ?? run.startedAt ?? run.createdAt),
  }
  return [
    { type: "Completed", ...completed },
    { type: "ResourcesAvailable", ...begun },
    { type: "Started", ...begun },
  ]
}

const COMPLETED_OF_EXECUTION = {
  EXECUTION_PENDING: () => ({ state: "CONDITION_PENDING" }),
  EXECUTION_RUNNING: (run) => ({
    state: "CONDITION_RECONCILING",
    ...(run.cancelRequested && { executionReason: "CANCELLING" }),
  }),
  EXECUTION_SUCCEEDED: () => ({ state: "CONDITION_SUCCEEDED", message: "Execution completed successfully." }),
  EXECUTION_CANCELLED: () => ({
    state: "CONDITION_FAILED",
    executionReason: "CANCELLED",
    message: "Execution was cancelled.",
  }),
  EXECUTION_FAILED: (run) => ({
    state: "CONDITION_FAILED",
    executionReason: "NON_ZERO_EXIT_CODE",
    message: run.firstFailure ?? "",
  }),
} satisfies Record<ReturnType<typeof completionStatus>, (run: ExecutionRun) => Condition>

function completionStatus(run: ExecutionRun) {
  if (run.endedAt === undefined) return run.startedAt === undefined ? "EXECUTION_PENDING" : "EXECUTION_RUNNING"
  if (run.counts.cancelled > 0) return "EXECUTION_CANCELLED"
  return run.counts.failed > 0 ? "EXECUTION_FAILED" : "EXECUTION_SUCCEEDED"
}

function taskConditions(run: ExecutionRun, task: Task): Condition[] {
  const startedAt = task.startedAt ?? run.createdAt
  return [
    {
      type: "Completed",
      ...COMPLETED_OF_TASK[task.state](task),
      lastTransitionTime: timestampOf(task.endedAt ?? startedAt),
    },
    {
      type: "Started",
      state: task.startedAt === undefined ? "CONDITION_PENDING" : "CONDITION_SUCCEEDED",
      lastTransitionTime: timestampOf(startedAt),
    },
  ]
}

const COMPLETED_OF_TASK = {
  waiting: () => ({ state: "CONDITION_PENDING" }),
  running: () => ({ state: "CONDITION_RECONCILING" }),
  succeeded: () => ({ state: "CONDITION_SUCCEEDED" }),
  failed: (task) => ({
    state: "CONDITION_FAILED",
    executionReason: "NON_ZERO_EXIT_CODE",
    message: task.lastResult?.message ?? "",
  }),
  cancelled: () => ({ state: "CONDITION_FAILED", executionReason: "CANCELLED" }),
} satisfies Record<Task["state"], (task: Task) => Condition>
