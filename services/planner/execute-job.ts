import type { JobsClient } from "@google-cloud/run"
import { type RetryOptions, retryTransient } from "../../shared/retry.ts"
import { formatTraceParent } from "../../shared/telemetry/trace-parent.ts"
import { currentSpan } from "../../shared/telemetry/tracing.ts"

export interface JobContext extends RetryOptions {
  jobs: JobsClient
  /** Full name of the worker's job. */
  job: string
}

/** Calls RunJob and returns the execution's name. */
export async function executeJob(
  context: JobContext,
  runId: string,
  dispatch: number,
  taskCount: number,
): Promise<string> {
  const span = currentSpan()
  return retryTransient(
    `run ${context.job} for run ${runId}`,
    async () => {
      const [operation] = await context.jobs.runJob({
        name: context.job,
        overrides: {
          taskCount,
          containerOverrides: [
            {
              env: [
                { name: "RUN_ID", value: runId },
                { name: "DISPATCH", value: String(dispatch) },
                // As OpenTelemetry names it: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
                ...(span ? [{ name: "TRACEPARENT", value: formatTraceParent(span) }] : []),
              ],
            },
          ],
        },
      })
      const name = (operation.metadata as { name?: string } | null)?.name
      if (!name) throw new Error(`RunJob of ${context.job} answered without the execution's name`)
      // Tasks know it by its last part, as CLOUD_RUN_EXECUTION.
      return name.slice(name.lastIndexOf("/") + 1)
    },
    context,
  )
}
