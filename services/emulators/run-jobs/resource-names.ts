import { status } from "@grpc/grpc-js"
import { StatusError } from "../status-error.ts"

const LOCATION = "projects/[^/]+/locations/[^/]+"

// "-" in the place of a job or execution lists across all of them.
const SHAPES = {
  location: new RegExp(`^${LOCATION}$`),
  job: new RegExp(`^${LOCATION}/jobs/[^/]+$`),
  execution: new RegExp(`^${LOCATION}/jobs/[^/]+/executions/[^/]+$`),
  task: new RegExp(`^${LOCATION}/jobs/[^/]+/executions/[^/]+/tasks/[^/]+$`),
}

// "must use only lowercase alphanumeric characters and dashes, cannot begin or end with a dash, and cannot be longer
// than 63 characters": what Cloud Run answers to other names of jobs. Its first character is a letter.
const JOB_ID = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/

/** Returns the name if it is one of this kind of resource; INVALID_ARGUMENT otherwise. */
export function checkName(kind: keyof typeof SHAPES, name: string | null | undefined): string {
  if (name && SHAPES[kind].test(name)) return name
  throw new StatusError(status.INVALID_ARGUMENT, `"${name ?? ""}" is not the name of a ${kind}`)
}

export function checkJobId(jobId: string | null | undefined): string {
  if (jobId && JOB_ID.test(jobId)) return jobId
  throw new StatusError(
    status.INVALID_ARGUMENT,
    `job_id "${jobId ?? ""}": only lowercase letters, digits and dashes, beginning with a letter, not ending with a dash, and no longer than 63 characters`,
  )
}

/** `x` of `projects/p/locations/l/jobs/x`. */
export function lastSegment(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1)
}

/** `projects/p/locations/l` of any name below it. */
export function locationOf(name: string): string {
  return name.split("/", 4).join("/")
}

/** `projects/p/locations/l/jobs/j` of an execution's name, or an execution's of a task's. */
export function parentOf(name: string): string {
  return name.split("/").slice(0, -2).join("/")
}

/** Whether a resource lies below a parent in which any segment may be "-". */
export function isBelow(parent: string, name: string): boolean {
  const segments = name.split("/")
  return parent.split("/").every((segment, at) => segment === "-" || segment === segments[at])
}
