import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ExecutionsClient, JobsClient, type protos, TasksClient } from "@google-cloud/run"
import { credentials } from "@grpc/grpc-js"
import { type RunJobsOptions, type RunJobsServer, startRunJobs } from "../../../services/emulators/run-jobs/server.ts"

export const LOCATION = "projects/daybook/locations/europe-west1"

type Container = protos.google.cloud.run.v2.IContainer
type TaskTemplate = protos.google.cloud.run.v2.ITaskTemplate
type Overrides = protos.google.cloud.run.v2.RunJobRequest.IOverrides
type ExecutionTemplate = protos.google.cloud.run.v2.IExecutionTemplate

export interface RunJobsFixture {
  server: RunJobsServer
  folder: string
  jobs: JobsClient
  executions: ExecutionsClient
  tasks: TasksClient
  /** Creates a job whose container runs `sh -c <script>`, and returns its name. */
  createJob(jobId: string, script: string, settings?: JobSettings): Promise<string>
  /** Starts an execution and returns its name without waiting for it. */
  run(job: string, overrides?: Overrides): Promise<string>
  /** Waits until an execution has ended, and returns it. */
  ended(execution: string): Promise<protos.google.cloud.run.v2.IExecution>
  listTasks(execution: string): Promise<protos.google.cloud.run.v2.ITask[]>
  stop(): Promise<void>
}

export type JobSettings = Pick<ExecutionTemplate, "taskCount" | "parallelism"> &
  Pick<TaskTemplate, "maxRetries" | "timeout"> &
  Pick<Container, "env">

/** A server in this process and the official clients for it. */
export async function startRunJobsFixture(options: Partial<RunJobsOptions> = {}): Promise<RunJobsFixture> {
  const folder = mkdtempSync(join(tmpdir(), "daybook-run-jobs-"))
  const server = await startRunJobs({ folder, images: { shell: { command: ["sh", "-c"] } }, ...options })
  const clientOptions = {
    apiEndpoint: "127.0.0.1",
    port: server.port,
    sslCreds: credentials.createInsecure(),
    // Without a universe the client looks for credentials, and so for a metadata server.
    clientOptions: { universe_domain: "googleapis.com" },
  }
  const jobs = new JobsClient(clientOptions)
  const executions = new ExecutionsClient(clientOptions)
  const tasks = new TasksClient(clientOptions)

  return {
    server,
    folder,
    jobs,
    executions,
    tasks,
    async createJob(jobId, script, settings = {}) {
      const [operation] = await jobs.createJob({ parent: LOCATION, jobId, job: shellJob(script, settings) })
      const [job] = await operation.promise()
      return job.name ?? ""
    },
    async run(job, overrides) {
      const [operation] = await jobs.runJob({ name: job, ...(overrides && { overrides }) })
      return (operation.metadata as protos.google.cloud.run.v2.IExecution).name ?? ""
    },
    async ended(name) {
      for (;;) {
        const [execution] = await executions.getExecution({ name })
        if (execution.completionTime) return execution
        await attemptEnded(server)
      }
    },
    async listTasks(parent) {
      const [found] = await tasks.listTasks({ parent })
      return found
    },
    async stop() {
      await Promise.all([jobs.close(), executions.close(), tasks.close()])
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until an attempt ends, or a moment in case the last one ended before we listened. */
async function attemptEnded(server: RunJobsServer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, 50)
  const stopListening = server.onAttempt((event) => event.type === "ended" && resolve())
  await promise
  clearTimeout(timer)
  stopListening()
}

export function shellJob(script: string, settings: JobSettings = {}): protos.google.cloud.run.v2.IJob {
  const { taskCount, parallelism, maxRetries, timeout, env } = settings
  return {
    template: {
      ...(taskCount !== undefined && { taskCount }),
      ...(parallelism !== undefined && { parallelism }),
      template: {
        ...(maxRetries !== undefined && { maxRetries }),
        ...(timeout !== undefined && { timeout }),
        containers: [{ name: "main", image: "shell", args: [script], env: env ?? [] }],
      },
    },
  }
}
