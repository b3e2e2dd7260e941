import { status } from "@grpc/grpc-js"
import type { Invoke, RestRequest } from "../rest-server.ts"
import { StatusError } from "../status-error.ts"
import { lastSegment } from "./resource-names.ts"
import { fromV1Job } from "./v1-jobs.ts"
import { EXECUTION_LABEL, JOB_LABEL, toExecution, toJob, toTask, type V2Resource } from "./v1-resources.ts"

/*
 * What `gcloud run jobs` still asks of the API v1, in the form of Knative, answered out of v2: making, reading and deleting
 * jobs, executions and tasks, executing and cancelling, and IAM policies.
 * https://cloud.google.com/run/docs/reference/rest/v1/namespaces.jobs
 */

type Json = Record<string, unknown>

const ADDRESS =
  /^\/apis\/run\.googleapis\.com\/v1\/namespaces\/([^/]+)\/(jobs|executions|tasks)(?:\/([^/:]+))?(?::(run|cancel))?$/

const POLICY_ADDRESS =
  /^\/v1\/(projects\/[^/]+\/locations\/[^/]+\/jobs\/[^/:]+):(get|set|test)Iam(?:Policy|Permissions)$/
const POLICY_METHODS = { get: "GetIamPolicy", set: "SetIamPolicy", test: "TestIamPermissions" }

// Of the Resource Manager, which `gcloud run jobs replace` asks for the project's number, and of Service Usage, which `deploy`
// asks whether Cloud Run's API is on.
const PROJECT_ADDRESS = /^\/v1\/projects\/([^/:]+)$/
const SERVICE_ADDRESS = /^\/v1\/(projects\/[^/:]+\/services\/run\.googleapis\.com)$/

/** Answers an address of v1; undefined for one that is none. */
export async function serveV1(request: RestRequest, invoke: Invoke): Promise<object | undefined> {
  const [, resource, policyVerb] = POLICY_ADDRESS.exec(request.path) ?? []
  if (policyVerb === "get" || policyVerb === "set" || policyVerb === "test") {
    return invoke(POLICY_METHODS[policyVerb], { ...(request.body as Json), resource })
  }
  const [, asked] = request.verb === "GET" ? (PROJECT_ADDRESS.exec(request.path) ?? []) : []
  if (asked !== undefined) return { projectId: asked, name: asked, projectNumber: "1", lifecycleState: "ACTIVE" }
  const [, api] = request.verb === "GET" ? (SERVICE_ADDRESS.exec(request.path) ?? []) : []
  if (api !== undefined) return { name: api, state: "ENABLED" }
  const [, project, kind, name, verb] = ADDRESS.exec(request.path) ?? []
  if (project === undefined) return undefined
  const parent = `projects/${project}/locations/-`
  const call = `${request.verb} ${kind}${name === undefined ? "" : "/"}${verb === undefined ? "" : `:${verb}`}`
  const labels = readSelector(request.query.get("labelSelector"))
  const limit = Number(request.query.get("limit") ?? 0) || 100
  const listOf = (all: V2Resource[], toV1: (resource: V2Resource) => Json, listKind: string) => ({
    apiVersion: "run.googleapis.com/v1",
    kind: listKind,
    metadata: { resourceVersion: "" },
    items: all.slice(0, limit).map(toV1),
  })
  const list = async (method: string, below: string, field: string) =>
    ((await invoke(method, { parent: `${parent}${below}`, pageSize: 1_000 })) as Record<string, V2Resource[]>)[field] ??
    []
  const jobs = () => list("ListJobs", "", "jobs")
  const executions = (job: string) => list("ListExecutions", `/jobs/${job}`, "executions")
  const tasks = (execution: string) => list("ListTasks", `/jobs/-/executions/${execution}`, "tasks")
  const find = async (all: Promise<V2Resource[]>) => {
    const found = (await all).find((resource) => lastSegment(resource.name) === name)
    if (!found)
      throw new StatusError(
        status.NOT_FOUND,
        `Resource '${name}' of kind '${kind?.slice(0, -1).toUpperCase()}' does not exist.`,
      )
    return found
  }
  switch (call) {
    case "GET jobs":
      return listOf(await jobs(), toJob, "JobList")
    case "POST jobs": {
      const jobId = String((request.body as { metadata?: Json }).metadata?.["name"])
      const place = `projects/${project}/locations/${regionOf(request.host)}`
      const operation = await invoke("CreateJob", { parent: place, jobId, job: fromV1Job(request.body) })
      return toJob((operation as { response: V2Resource }).response)
    }
    case "PUT jobs/": {
      const before = await find(jobs())
      const etag = (request.body as { metadata?: Json }).metadata?.["resourceVersion"]
      const job = { ...fromV1Job(request.body), name: before.name, ...(etag ? { etag } : {}) }
      return toJob(((await invoke("UpdateJob", { job })) as { response: V2Resource }).response)
    }
    case "GET jobs/":
      return toJob(await find(jobs()))
    case "POST jobs/:run": {
      const { name: job } = await find(jobs())
      const operation = (await invoke("RunJob", { name: job, ...toOverrides(request.body) })) as {
        metadata: V2Resource
      }
      return toExecution(operation.metadata)
    }
    case "DELETE jobs/": {
      await invoke("DeleteJob", { name: (await find(jobs())).name })
      return { status: "Success" }
    }
    case "GET executions":
      return listOf(await executions(labels[JOB_LABEL] ?? "-"), toExecution, "ExecutionList")
    case "GET executions/":
      return toExecution(await find(executions("-")))
    case "POST executions/:cancel": {
      const operation = (await invoke("CancelExecution", { name: (await find(executions("-"))).name })) as {
        metadata: V2Resource
      }
      return toExecution(operation.metadata)
    }
    case "DELETE executions/": {
      await invoke("DeleteExecution", { name: (await find(executions("-"))).name })
      return { status: "Success" }
    }
    case "GET tasks":
      return listOf(await tasks(labels[EXECUTION_LABEL] ?? "-"), toTask, "TaskList")
    case "GET tasks/":
      return toTask(await find(tasks("-")))
    default:
      throw new StatusError(
        status.UNIMPLEMENTED,
        `${request.verb} ${request.path} is not offered here: use the API v2, at /v2/projects/${project}/locations/REGION/jobs.`,
      )
  }
}

/** gcloud says the region in the name of the server, such as `europe-west1-run.local`, and nowhere else. */
function regionOf(host: string): string {
  const [, region] = /^([a-z]+-[a-z]+\d+)-/.exec(host) ?? []
  if (region !== undefined) return region
  throw new StatusError(
    status.INVALID_ARGUMENT,
    `The region is not known: the server's name begins with it, as in http://europe-west1-run.local/, or use the API v2: ${host}`,
  )
}

/** `run.googleapis.com/job = w` */
function readSelector(selector: string | null): Record<string, string> {
  const parts = (selector ?? "").split(",").map((part) => part.split("=").map((side) => side.trim()))
  return Object.fromEntries(parts.flatMap(([key, value]) => (key && value ? [[key, value]] : [])))
}

function toOverrides(body: unknown): Json {
  const { overrides } = body as {
    overrides?: { containerOverrides?: Json[]; taskCount?: number; timeoutSeconds?: number }
  }
  if (!overrides) return {}
  const { containerOverrides, taskCount, timeoutSeconds } = overrides
  return {
    overrides: {
      ...(containerOverrides ? { containerOverrides } : {}),
      ...(taskCount === undefined ? {} : { taskCount }),
      ...(timeoutSeconds === undefined ? {} : { timeout: `${timeoutSeconds}s` }),
    },
  }
}
