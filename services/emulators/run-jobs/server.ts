/**
 * Cloud Run Jobs on one machine: the API v2 over gRPC and as JSON over HTTP, and as much of v1 as `gcloud run jobs` asks
 * for, with tasks as real processes.
 *
 * Where it differs from Google:
 * - The name of an image stands for a command on this machine (`images`). There is no isolation: tasks share the file
 *   system, network, users and process ids. CPU and memory limits and the service account are stored, not enforced.
 * - State is in memory and ends with the server; tasks are killed with it, also if it is killed itself.
 * - A job is checked and ready within the call that creates it, so an unknown image fails CreateJob and not its
 *   operation. Executions start at once; a failed task is tried again at once.
 * - With parallelism 0 an execution runs as many tasks at once as the machine has processors (`slots`).
 * - SIGTERM and SIGKILL go to all processes of a task, not to the first one only.
 * - An operation of RunJob always ends with the execution as its response, however the execution went: read the counts.
 * - DeleteJob cancels running executions and then removes all of them.
 * - A secret has one version, whichever is asked for, and is an environment variable only.
 * - No authentication. A job's IAM policy is kept and returned; nobody is refused anything for it, and whoever tests
 *   permissions has them.
 * - No volumes, probes, sidecars, VPC, filters or soft deletion: methods answer UNIMPLEMENTED, and so do jobs with volumes (a
 *   process has the machine's own folders), probes or several containers. Other fields of a template are stored and have no
 *   effect. Services and all else of the API are UNIMPLEMENTED.
 */
import { mkdirSync } from "node:fs"
import { availableParallelism } from "node:os"
import { resolve } from "node:path"
import { type Clock, systemClock } from "../clock.ts"
import { Faults } from "../faults.ts"
import { startGrpcServer } from "../grpc-server.ts"
import { startOrphanGuard } from "../processes/orphan-guard.ts"
import type { AttemptEvent, RunningTask } from "./execution-run.ts"
import { Executions } from "./executions.ts"
import type { Image } from "./job-template.ts"
import { jobsMethods } from "./jobs.ts"
import { Operations, operationsHttp } from "./operations.ts"
import { tasksMethods } from "./tasks.ts"
import { serveV1 } from "./v1.ts"

// "Cloud Run sends a SIGTERM signal to all containers … a grace period of 10 seconds … then SIGKILL":
// https://cloud.google.com/run/docs/container-contract#jobs-shutdown
const KILL_GRACE_MS = 10_000

export interface RunJobsOptions {
  /** 0, the default, picks a free port. */
  port?: number
  /** Each attempt's output goes to `<folder>/<execution>/<task>-<attempt>.log`. */
  folder: string
  /** What the name of an image runs on this machine. */
  images: Record<string, Image>
  /** The values of secrets, by name, for environment variables that are from one. */
  secrets?: Record<string, string> | undefined
  /** How many tasks of an execution run at once when its job's parallelism is 0; the number of processors by default. */
  slots?: number
  /** Where jobs are kept over a restart; nowhere by default. */
  stateFile?: string | undefined
  /** The address to listen on; by default this machine alone can reach it. */
  host?: string | undefined
  clock?: Clock
  faults?: Faults
  /** From SIGTERM to SIGKILL; 10 s by default. */
  killGraceMs?: number
}

export interface RunJobsServer {
  port: number
  faults: Faults
  /** The attempts that run now. */
  tasks(): RunningTask[]
  /** Sends a signal to a task's processes; false if it does not run. The execution's name may be full or short. */
  killTask(execution: string, taskIndex: number, signal?: NodeJS.Signals): boolean
  /** Calls back when an attempt has started or ended; returns the function that ends this. */
  onAttempt(listener: (event: AttemptEvent) => void): () => void
  /** Kills all tasks. When it settles, no process of this server is left. */
  stop(): Promise<void>
}

export async function startRunJobs(options: RunJobsOptions): Promise<RunJobsServer> {
  const clock = options.clock ?? systemClock
  const faults = options.faults ?? new Faults()
  const folder = resolve(options.folder)
  mkdirSync(folder, { recursive: true })
  const listeners = new Set<(event: AttemptEvent) => void>()
  const guard = startOrphanGuard()
  const operations = new Operations(clock)
  const executions = new Executions({
    images: options.images,
    folder,
    secrets: options.secrets,
    slots: options.slots ?? availableParallelism(),
    killGraceMs: options.killGraceMs ?? KILL_GRACE_MS,
    clock,
    guard,
    onAttempt: (event) => {
      for (const listener of listeners) listener(event)
    },
  })
  const server = await startGrpcServer({
    server: "run",
    descriptors: "@google-cloud/run/build/protos/protos.json",
    services: [
      {
        name: "google.cloud.run.v2.Jobs",
        unary: jobsMethods({ images: options.images, clock, executions, operations, stateFile: options.stateFile }),
      },
      { name: "google.cloud.run.v2.Executions", unary: executions.methods(operations) },
      { name: "google.cloud.run.v2.Tasks", unary: tasksMethods(executions) },
      { name: "google.longrunning.Operations", unary: operations.methods(), http: operationsHttp },
    ],
    others: serveV1,
    faults,
    port: options.port ?? 0,
    host: options.host,
  }).catch(async (error: unknown) => {
    await guard.stop()
    throw error
  })
  return {
    port: server.port,
    faults,
    tasks: () => executions.runningTasks(),
    killTask: (execution, taskIndex, signal = "SIGKILL") => executions.signalTask(execution, taskIndex, signal),
    onAttempt: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    stop: async () => {
      await server.stop()
      await executions.stop()
      await guard.stop()
    },
  }
}
