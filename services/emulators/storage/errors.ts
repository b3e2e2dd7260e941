import { type FaultStatus, InjectedError } from "../faults.ts"

/** An answer that is an error, as Cloud Storage words it: https://cloud.google.com/storage/docs/json_api/v1/status-codes */
export class ApiError extends Error {
  override readonly name = "ApiError"
  readonly code: number
  readonly reason: string
  readonly location: { locationType: string; location: string } | undefined

  constructor(
    code: number,
    reason: string,
    message: string,
    options: ErrorOptions & { location?: ApiError["location"] } = {},
  ) {
    super(message, options)
    this.code = code
    this.reason = reason
    this.location = options.location
  }
}

export const invalid = (message: string) => new ApiError(400, "invalid", message)

export const noSuchBucket = () => new ApiError(404, "notFound", "The specified bucket does not exist.")

export const noSuchObject = (bucket: string, name: string) =>
  new ApiError(404, "notFound", `No such object: ${bucket}/${name}`)

export const conditionNotMet = () =>
  new ApiError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.", {
    location: { locationType: "header", location: "If-Match" },
  })

/** With a status that no client tries again. */
export const notImplemented = (what: string) =>
  new ApiError(400, "notImplemented", `${what} is not implemented by the local Cloud Storage.`)

export function errorBody(error: ApiError) {
  const { code, message, reason, location } = error
  return { error: { code, message, errors: [{ message, domain: "global", reason, ...location }] } }
}

/** Whatever was thrown while a request was served, as an error the client can read: nothing ever ends the server. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof InjectedError) {
    const [code, reason] = INJECTED[error.status]
    return new ApiError(code, reason, error.message, { cause: error })
  }
  const { code, statusCode, message } = error as NodeJS.ErrnoException & { statusCode?: number }
  // A full disk may be emptied while the client backs off: 503 says "try again", as Google does when it lacks resources.
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EMFILE") {
    return new ApiError(503, "backendError", `The disk refused: ${message}`, { cause: error })
  }
  // Fastify's own refusals, such as a malformed address.
  if (statusCode && statusCode < 500) return new ApiError(statusCode, "invalid", message, { cause: error })
  return new ApiError(500, "internalError", `Internal error: ${message ?? String(error)}`, { cause: error })
}

const INJECTED: Record<FaultStatus, [code: number, reason: string]> = {
  INVALID_ARGUMENT: [400, "invalid"],
  PERMISSION_DENIED: [403, "forbidden"],
  NOT_FOUND: [404, "notFound"],
  ALREADY_EXISTS: [409, "conflict"],
  ABORTED: [409, "conflict"],
  FAILED_PRECONDITION: [412, "conditionNotMet"],
  RESOURCE_EXHAUSTED: [429, "rateLimitExceeded"],
  INTERNAL: [500, "internalError"],
  UNAVAILABLE: [503, "backendError"],
  DEADLINE_EXCEEDED: [504, "gatewayTimeout"],
}
