import { randomUUID } from "node:crypto"
import { status } from "@grpc/grpc-js"
import { StatusError } from "../status-error.ts"
import { refuse } from "./refusals.ts"

export type Collection = "topics" | "subscriptions" | "schemas" | "snapshots"

// https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
const RESOURCE_ID = /^(?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}$/
const PROJECT = /^projects\/[^/]+$/

/** Returns the name if it is a well-formed `projects/…/<collection>/…`, else refuses the call. */
export function checkName(collection: Collection, name: string | null | undefined): string {
  const [projects, project, kind, id, ...rest] = (name ?? "").split("/")
  const valid = projects === "projects" && project && kind === collection && rest.length === 0
  if (!valid || !RESOURCE_ID.test(id ?? "")) throw invalidName(name)
  return name ?? ""
}

/** The name as it is given, or a random one in the project of what it belongs to: pubsub.proto, Subscription.name. */
export function nameOrRandom(
  collection: "subscriptions" | "snapshots",
  name: string | null | undefined,
  owner: string | null | undefined,
): string {
  if (name) return checkName(collection, name)
  return checkName(collection, `projects/${projectOf(owner ?? "")}/${collection}/unnamed-${randomUUID()}`)
}

/** Returns `projects/<project>` if it is well-formed, else refuses the call. */
export function checkProject(name: string | null | undefined): string {
  if (!PROJECT.test(name ?? "")) throw invalidName(name)
  return name ?? ""
}

/** The part after the last slash: what Google's messages call the resource by. */
export function idOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1)
}

/** The id of the project that a resource's name begins with. */
export function projectOf(name: string): string {
  return name.split("/")[1] ?? ""
}

export function notFound(name: string): StatusError {
  return new StatusError(status.NOT_FOUND, `Resource not found (resource=${idOf(name)}).`)
}

export function alreadyExists(name: string): StatusError {
  return new StatusError(status.ALREADY_EXISTS, `Resource already exists in the project (resource=${idOf(name)}).`)
}

function invalidName(name: string | null | undefined): StatusError {
  return refuse(
    `Invalid resource name given (name=${name ?? ""}). Refer to ` +
      "https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information.",
  )
}
