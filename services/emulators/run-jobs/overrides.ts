import type { protos } from "@google-cloud/run"
import { checkEnv, checkTaskCount, checkTimeout } from "./job-template.ts"
import { refuse } from "./refusals.ts"

type ExecutionTemplate = protos.google.cloud.run.v2.IExecutionTemplate
type Overrides = protos.google.cloud.run.v2.RunJobRequest.IOverrides
type ContainerOverride = protos.google.cloud.run.v2.RunJobRequest.Overrides.IContainerOverride
type Container = protos.google.cloud.run.v2.IContainer
type EnvVar = protos.google.cloud.run.v2.IEnvVar

/** The template of one execution: the job's, with what RunJob overrides. Everything else cannot be overridden. */
export function applyOverrides(
  template: ExecutionTemplate,
  overrides: Overrides | null | undefined,
): ExecutionTemplate {
  if (!overrides) return template
  const taskCount = overrides.taskCount || (template.taskCount ?? 1)
  // A job's parallelism cannot be overridden, so fewer tasks than that are refused
  // (https://github.com/googleapis/google-cloud-node/issues/4908).
  checkTaskCount("overrides.task_count", taskCount, template.parallelism ?? 0)
  if (overrides.timeout) checkTimeout("overrides.timeout", overrides.timeout)
  const task = template.template ?? {}
  const [container = {}] = task.containers ?? []
  return {
    ...template,
    taskCount,
    template: {
      ...task,
      timeout: overrides.timeout ?? task.timeout ?? null,
      containers: [overrideContainer(container, overrides.containerOverrides ?? [])],
    },
  }
}

function overrideContainer(container: Container, overrides: ContainerOverride[]): Container {
  const [override, second] = overrides
  if (second) refuse("overrides.container_overrides", "more overrides than containers")
  if (!override) return container
  // Without a name the job's only container is meant: that is what gcloud sends.
  if (override.name && override.name !== container.name) {
    refuse("overrides.container_overrides", `no container with the name "${override.name}"`)
  }
  checkEnv("overrides.container_overrides.env", override.env ?? [])
  return {
    ...container,
    args: override.args?.length ? override.args : override.clearArgs ? [] : (container.args ?? []),
    env: mergeEnv(container.env ?? [], override.env ?? []),
  }
}

function mergeEnv(env: EnvVar[], overrides: EnvVar[]): EnvVar[] {
  return [...new Map([...env, ...overrides].map((variable) => [variable.name, variable])).values()]
}
