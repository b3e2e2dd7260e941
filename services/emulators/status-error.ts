import type { status } from "@grpc/grpc-js"

/** What a client's program can go by: https://cloud.google.com/apis/design/errors#error_info */
export interface ErrorInfo {
  reason: string
  domain: string
  metadata: Record<string, string>
}

/** An error with a gRPC status, as a handler throws it. */
export class StatusError extends Error {
  override readonly name = "StatusError"
  readonly code: status
  readonly info: ErrorInfo | undefined

  constructor(code: status, message: string, info?: ErrorInfo) {
    super(message)
    this.code = code
    this.info = info
  }
}
