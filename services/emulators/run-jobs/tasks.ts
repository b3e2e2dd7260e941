import type { protos } from "@google-cloud/run"
import { status } from "@grpc/grpc-js"
import type { UnaryMethods } from "../service-methods.ts"
import { StatusError } from "../status-error.ts"
import type { ExecutionRun, Task } from "./execution-run.ts"
import { taskResource } from "./execution-status.ts"
import type { Executions } from "./executions.ts"
import { keyOfToken, takePage } from "./pages.ts"
import { checkName, lastSegment, parentOf } from "./resource-names.ts"

/** google.cloud.run.v2.Tasks. */
export function tasksMethods(executions: Executions): UnaryMethods {
  return {
    GetTask(request: protos.google.cloud.run.v2.IGetTaskRequest) {
      const name = checkName("task", request.name)
      const run = executions.find(parentOf(name))
      const index = /-task(\d+)$/.exec(name)?.[1]
      const task = index === undefined ? undefined : run.tasks[Number(index)]
      if (!task || run.taskId(task) !== lastSegment(name)) {
        throw new StatusError(
          status.NOT_FOUND,
          `Resource '${lastSegment(name)}' of kind 'TASK' does not exist: ${name}`,
        )
      }
      return taskResource(run, task)
    },

    ListTasks(request: protos.google.cloud.run.v2.IListTasksRequest) {
      const parent = checkName("execution", request.parent)
      if (!parent.includes("-/") && !parent.endsWith("/-")) executions.find(parent)
      const [sequence, index] =
        keyOfToken(request, /^\d+\/\d+$/)
          ?.split("/")
          .map(Number) ?? []
      const found = tasksAfter(executions, parent, sequence, index)
      const { items, nextPageToken } = takePage(
        found,
        request,
        ([run, task]) => `${run.options.sequence}/${task.index}`,
      )
      return { tasks: items.map(([run, task]) => taskResource(run, task)), nextPageToken }
    },
  }
}

/** The tasks of all executions below `parent`, executions newest first, from the one after the task of a page token. */
function* tasksAfter(
  executions: Executions,
  parent: string,
  sequence = Number.POSITIVE_INFINITY,
  index = -1,
): Generator<[ExecutionRun, Task]> {
  for (const run of executions.below(parent, sequence + 1)) {
    const first = run.options.sequence === sequence ? index + 1 : 0
    for (const task of run.tasks.slice(first)) yield [run, task]
  }
}
