import { randomUUID } from "node:crypto"
import type { protos } from "@google-cloud/run"
import { status } from "@grpc/grpc-js"
import type { Clock } from "../clock.ts"
import { changePolicy, toPolicyMessage } from "../iam-messages.ts"
import { emptyPolicy, type Policy } from "../iam-policies.ts"
import { readState, replaceFile } from "../json-files.ts"
import { findLabelFault } from "../labels.ts"
import type { UnaryMethods } from "../service-methods.ts"
import { StatusError } from "../status-error.ts"
import { checkEtag, etagOf } from "./etags.ts"
import type { ExecutionRun } from "./execution-run.ts"
import { executionReference, executionResource } from "./execution-status.ts"
import type { Executions } from "./executions.ts"
import { completeTemplate, type Image } from "./job-template.ts"
import type { Operations } from "./operations.ts"
import { applyOverrides } from "./overrides.ts"
import { keyOfToken, takePage } from "./pages.ts"
import { refuse } from "./refusals.ts"
import { checkJobId, checkName, isBelow, lastSegment } from "./resource-names.ts"
import { timestampOf } from "./timestamps.ts"

type JobResource = protos.google.cloud.run.v2.IJob

interface Job {
  name: string
  uid: string
  generation: number
  createdAt: number
  updatedAt: number
  /** What the user has asked for, defaults filled in. */
  spec: JobResource
  policy: Policy
  executionCount: number
  latestExecution: ExecutionRun | undefined
}

export interface JobsOptions {
  images: Record<string, Image>
  clock: Clock
  executions: Executions
  operations: Operations
  /** Where jobs are kept over a restart; nowhere by default. */
  stateFile?: string | undefined
}

type SavedJob = Pick<Job, "name" | "uid" | "generation" | "createdAt" | "updatedAt" | "spec"> & { policy?: Policy }

// "Cloud Run API v2 does not support labels with … namespaces, and they will be rejected": job.proto.
const SYSTEM_NAMESPACE =
  /(^|\.)(run\.googleapis\.com|cloud\.googleapis\.com|serving\.knative\.dev|autoscaling\.knative\.dev)\//

/** google.cloud.run.v2.Jobs. */
export function jobsMethods({ images, clock, executions, operations, stateFile }: JobsOptions): UnaryMethods {
  const jobs = new Map(readJobs(stateFile).map((job) => [job.name, job]))

  function save(): void {
    if (stateFile === undefined) return
    const saved = [...jobs.values()].map(
      ({ name, uid, generation, createdAt, updatedAt, spec, policy }): SavedJob => ({
        name,
        uid,
        generation,
        createdAt,
        updatedAt,
        spec,
        policy,
      }),
    )
    replaceFile(stateFile, JSON.stringify(saved))
  }

  function find(name: string | null | undefined): Job {
    const job = jobs.get(checkName("job", name))
    if (!job)
      throw new StatusError(
        status.NOT_FOUND,
        `Resource '${lastSegment(name ?? "")}' of kind 'JOB' does not exist: ${name}`,
      )
    return job
  }

  function newJob(name: string, resource: JobResource | null | undefined): Job {
    const now = clock.now()
    return {
      name,
      uid: randomUUID(),
      generation: 1,
      createdAt: now,
      updatedAt: now,
      spec: specOf(resource, images),
      policy: emptyPolicy,
      executionCount: 0,
      latestExecution: undefined,
    }
  }

  function store(job: Job, validateOnly: boolean | null | undefined) {
    if (!validateOnly) {
      jobs.set(job.name, job)
      save()
    }
    return operations.done("Job", jobResource(job))
  }

  return {
    CreateJob(request: protos.google.cloud.run.v2.ICreateJobRequest) {
      const name = `${checkName("location", request.parent)}/jobs/${checkJobId(request.jobId)}`
      if (jobs.has(name)) {
        throw new StatusError(
          status.ALREADY_EXISTS,
          `Resource '${request.jobId}' of kind 'JOB' already exists: ${name}`,
        )
      }
      return store(newJob(name, request.job), request.validateOnly)
    },

    GetJob: (request: protos.google.cloud.run.v2.IGetJobRequest) => jobResource(find(request.name)),

    ListJobs(request: protos.google.cloud.run.v2.IListJobsRequest) {
      const parent = checkName("location", request.parent)
      const after = keyOfToken(request, /^\d+ projects\//)
      // "Results are sorted by creation time, descending."
      const found = [...jobs.values()]
        .filter((job) => isBelow(parent, job.name) && (after === undefined || listKey(job) < after))
        .toSorted((a, b) => (listKey(a) < listKey(b) ? 1 : -1))
      const { items, nextPageToken } = takePage(found, request, listKey)
      return { jobs: items.map(jobResource), nextPageToken }
    },

    UpdateJob(request: protos.google.cloud.run.v2.IUpdateJobRequest) {
      const name = checkName("job", request.job?.name)
      checkJobId(lastSegment(name))
      if (request.allowMissing && !jobs.has(name)) return store(newJob(name, request.job), request.validateOnly)
      const job = find(name)
      checkEtag(etagOf(job.uid, job.generation), request.job?.etag)
      const changed = { generation: job.generation + 1, updatedAt: clock.now(), spec: specOf(request.job, images) }
      return store(request.validateOnly ? { ...job, ...changed } : Object.assign(job, changed), request.validateOnly)
    },

    DeleteJob(request: protos.google.cloud.run.v2.IDeleteJobRequest) {
      const job = find(request.name)
      checkEtag(etagOf(job.uid, job.generation), request.etag)
      const deleted = { ...jobResource(job), deleteTime: timestampOf(clock.now()) }
      if (request.validateOnly) return operations.done("Job", deleted)
      jobs.delete(job.name)
      save()
      return operations.open("Job", () => deleted, executions.removeAllOf(job.name))
    },

    RunJob(request: protos.google.cloud.run.v2.IRunJobRequest) {
      const job = find(request.name)
      checkEtag(etagOf(job.uid, job.generation), request.etag)
      const template = applyOverrides(job.spec.template ?? {}, request.overrides)
      const run = executions.create(job.name, template)
      if (request.validateOnly) return operations.done("Execution", executionResource(run))
      job.executionCount++
      job.latestExecution = run
      executions.start(run)
      return operations.open("Execution", () => executionResource(run), run.ended)
    },

    GetIamPolicy: (request: protos.google.iam.v1.IGetIamPolicyRequest) =>
      toPolicyMessage(find(request.resource).policy),

    SetIamPolicy(request: protos.google.iam.v1.ISetIamPolicyRequest) {
      const job = find(request.resource)
      job.policy = changePolicy(job.policy, request)
      save()
      return toPolicyMessage(job.policy)
    },

    TestIamPermissions(request: protos.google.iam.v1.ITestIamPermissionsRequest) {
      find(request.resource)
      return { permissions: request.permissions ?? [] }
    },
  }
}

/** Executions are not kept: what ran has ended with the server. */
function readJobs(stateFile: string | undefined): Job[] {
  const saved = stateFile === undefined ? undefined : readState<SavedJob[]>(stateFile, "a local Cloud Run")
  return (saved ?? []).map((job) => ({ policy: emptyPolicy, ...job, executionCount: 0, latestExecution: undefined }))
}

/** Milliseconds since 1970 keep their number of digits until 2286. */
const listKey = (job: Job): string => `${job.createdAt} ${job.name}`

function specOf(resource: JobResource | null | undefined, images: Record<string, Image>): JobResource {
  if (resource?.startExecutionToken || resource?.runExecutionToken) {
    throw new StatusError(status.UNIMPLEMENTED, "Jobs that execute when they are created are not offered here")
  }
  // Those of the system have a namespace, and are refused for it.
  const labels = Object.entries(resource?.labels ?? {}).filter(([key]) => !SYSTEM_NAMESPACE.test(key))
  const fault = findLabelFault(Object.fromEntries(labels))
  if (fault !== undefined) refuse("job.labels", fault)
  for (const key of Object.keys({ ...resource?.labels, ...resource?.annotations })) {
    if (SYSTEM_NAMESPACE.test(key)) refuse("job", `label or annotation in a namespace of the system: ${key}`)
  }
  return {
    labels: resource?.labels ?? {},
    annotations: resource?.annotations ?? {},
    client: resource?.client ?? "",
    clientVersion: resource?.clientVersion ?? "",
    launchStage: "GA",
    template: completeTemplate(resource?.template, images),
  }
}

function jobResource(job: Job): JobResource {
  return {
    ...job.spec,
    name: job.name,
    uid: job.uid,
    generation: job.generation,
    observedGeneration: job.generation,
    createTime: timestampOf(job.createdAt),
    updateTime: timestampOf(job.updatedAt),
    terminalCondition: { type: "Ready", state: "CONDITION_SUCCEEDED", lastTransitionTime: timestampOf(job.updatedAt) },
    executionCount: job.executionCount,
    latestCreatedExecution: job.latestExecution ? executionReference(job.latestExecution) : null,
    reconciling: false,
    etag: etagOf(job.uid, job.generation),
  }
}
