/**
 * The codes of google.rpc.Code that are told apart here. @grpc/grpc-js has them too, and takes tens of milliseconds to load.
 * https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
 */
export const grpcStatus = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  internal: 13,
  unavailable: 14,
} as const

export type GrpcStatus = keyof typeof grpcStatus

/** Whether a call was answered with this status: the clients throw errors that have it as their `code`. */
export function hasStatus(error: unknown, status: GrpcStatus): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === grpcStatus[status]
}
