import { openJobs } from "../../shared/google/open-run-jobs.ts"

/** What the name of the worker's image is to the local Cloud Run. */
export const WORKER_IMAGE = "daybook"
const LOCATION = "projects/local/locations/local"
const JOB_ID = "daybook-worker"
export const WORKER_JOB = `${LOCATION}/jobs/${JOB_ID}`

export interface WorkerJobOptions {
  /** host:port of the local Cloud Run. */
  runHost: string
  env: Record<string, string>
  parallelism: number
  maxRetries: number
  taskTimeoutSeconds: number
}

/** Creates the worker's job as a deployment does, through the official client. */
export async function createWorkerJob(options: WorkerJobOptions): Promise<void> {
  const jobs = openJobs({ GOOGLE_CLOUD_PROJECT: "local", RUN_EMULATOR_HOST: options.runHost })
  try {
    const [operation] = await jobs.createJob({
      parent: LOCATION,
      jobId: JOB_ID,
      job: {
        template: {
          // The planner asks for as many tasks as a dispatch needs, and never for fewer than run at once.
          taskCount: options.parallelism,
          parallelism: options.parallelism,
          template: {
            containers: [
              { image: WORKER_IMAGE, env: Object.entries(options.env).map(([name, value]) => ({ name, value })) },
            ],
            maxRetries: options.maxRetries,
            timeout: { seconds: options.taskTimeoutSeconds },
          },
        },
      },
    })
    await operation.promise()
  } finally {
    await jobs.close()
  }
}
