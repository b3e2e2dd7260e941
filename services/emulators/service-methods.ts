import type * as grpc from "@grpc/grpc-js"
import type { Call } from "./faults.ts"
import type { HttpRule } from "./http-rules.ts"

// Requests and streams are `any` here: each handler names the type, from the package's own `protos.…I*` interfaces.
export type UnaryMethods = Record<string, (request: any, call: UnaryCall) => unknown>
type StreamMethods = Record<string, (stream: grpc.ServerDuplexStream<any, any>) => void>

/** What a handler may want to know of the call it serves. */
export interface UnaryCall {
  /** Calls back once, when the answer has left or the client has gone: whichever it was, nobody waits any more. */
  onEnd(callback: () => void): void
}

/** One gRPC service: its full name and the methods that are served; every other method answers UNIMPLEMENTED. */
export interface ServiceMethods {
  name: string
  unary: UnaryMethods
  streams?: StreamMethods
  /** The addresses of methods over HTTP, by their names, where the API has others than the descriptor. */
  http?: Record<string, HttpRule[]>
}

export type CallServer = Call["server"]

/** What a request is about. */
export function resourceOf(request: Record<string, unknown>): string {
  for (const field of ["topic", "subscription", "name", "parent", "project", "resource"]) {
    const value = request[field]
    if (typeof value === "string" && value !== "") return value
  }
  return ""
}
