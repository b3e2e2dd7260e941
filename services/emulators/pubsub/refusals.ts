import { status } from "@grpc/grpc-js"
import { findLabelFault } from "../labels.ts"
import { StatusError } from "../status-error.ts"

/** The caller's request is wrong, whatever the state of the server. */
export function refuse(message: string): StatusError {
  return new StatusError(status.INVALID_ARGUMENT, message)
}

/** Google does it; this server does not, and will not pretend. */
export function unimplemented(what: string): StatusError {
  return new StatusError(status.UNIMPLEMENTED, `${what} is not implemented by the local Pub/Sub.`)
}

export function failedPrecondition(message: string): StatusError {
  return new StatusError(status.FAILED_PRECONDITION, message)
}

export function exhausted(message: string): StatusError {
  return new StatusError(status.RESOURCE_EXHAUSTED, message)
}

/** Of a topic, a subscription or a snapshot. */
export function checkLabels(labels: Record<string, string> | null | undefined): void {
  const fault = findLabelFault(labels)
  if (fault !== undefined) throw refuse(`Invalid labels given: ${fault}.`)
}
