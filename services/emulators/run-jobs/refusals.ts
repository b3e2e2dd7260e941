import { status } from "@grpc/grpc-js"
import { StatusError } from "../status-error.ts"

/** INVALID_ARGUMENT in the words of the API. */
export function refuse(field: string, reason: string): never {
  throw new StatusError(status.INVALID_ARGUMENT, `Violation in ${field}: ${reason}`)
}
