import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import * as grpc from "@grpc/grpc-js"
import { fromJSON } from "@grpc/proto-loader"
import protobuf from "protobufjs"
import { type Faults, InjectedError } from "./faults.ts"
import { createRestServer, type RestOptions } from "./rest-server.ts"
import { type CallServer, resourceOf, type ServiceMethods, type UnaryMethods } from "./service-methods.ts"
import { sharePort } from "./shared-port.ts"
import { type ErrorInfo, StatusError } from "./status-error.ts"

const require = createRequire(import.meta.url)

// Requests and answers of Pub/Sub may reach 10 MB plus framing; the default of 4 MB makes a bigger publish hang in
// the client's retries.
const MESSAGE_BYTES_MAX = 20 * 1024 * 1024

export interface GrpcServerOptions {
  server: CallServer
  /** The package file that holds the service descriptors, such as `@google-cloud/run/build/protos/protos.json`. */
  descriptors: string
  /** Another one, and the packages below `google` that are taken from it, such as `iam`. */
  moreDescriptors?: { file: string; packages: string[] }
  services: ServiceMethods[]
  faults: Faults
  /** Answers over HTTP/1.1 what is at no method's address. */
  others?: RestOptions["others"]
  /** 0 picks a free port. */
  port: number
  /** The address to listen on; by default this machine alone can reach it. */
  host?: string | undefined
}

/** Starts a server of gRPC, and of the same as JSON over HTTP/1.1 on the same port. */
export async function startGrpcServer(
  options: GrpcServerOptions,
): Promise<{ port: number; stop: () => Promise<void> }> {
  const server = new grpc.Server({
    "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
    "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
  })
  const json = readDescriptors(options)
  const descriptors = fromJSON(json, {
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  })
  for (const service of options.services) {
    const definition = descriptors[service.name] as grpc.ServiceDefinition
    const handlers: grpc.UntypedServiceImplementation = {}
    for (const method of Object.keys(definition)) {
      const stream = service.streams?.[method]
      const unary = service.unary[method]
      if (stream) handlers[method] = stream
      else if (unary) handlers[method] = serveUnary(options, method, unary)
      // grpc-js itself answers UNIMPLEMENTED for a method without a handler.
    }
    server.addService(definition, handlers)
  }
  const { host = "127.0.0.1" } = options
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
  const rest = createRestServer({ ...options, descriptors: json, isOpen: host !== "127.0.0.1" })
  const shared = await sharePort({ host, port: options.port }, rest, (connection) =>
    injector.injectConnection(connection),
  )
  return {
    port: shared.port,
    stop: async () => {
      server.forceShutdown()
      await shared.stop()
    },
  }
}

function readDescriptors({ descriptors, moreDescriptors }: GrpcServerOptions): protobuf.INamespace {
  const json = readJson(descriptors)
  if (!moreDescriptors) return json
  const known = packagesOf(json)
  const more = packagesOf(readJson(moreDescriptors.file))
  for (const name of moreDescriptors.packages) {
    const taken = more[name]
    if (taken) known[name] ??= taken
  }
  return json
}

const readJson = (file: string) => JSON.parse(readFileSync(require.resolve(file), "utf8")) as protobuf.INamespace

/** Those below `google`. */
function packagesOf({ nested }: protobuf.INamespace): Record<string, protobuf.AnyNestedObject> {
  const google = nested?.["google"]
  return (google && "nested" in google && google.nested) || {}
}

type UnaryHandler = grpc.handleUnaryCall<any, any>

function serveUnary(options: GrpcServerOptions, method: string, serve: UnaryMethods[string]): UnaryHandler {
  return (call, answer) => {
    const request = call.request
    // grpc-js says "cancelled" whenever the HTTP/2 stream closes, after an answer too; a delayed call may have lost it.
    const onEnd = (callback: () => void) => {
      if (call.cancelled) setImmediate(callback)
      else call.once("cancelled", callback)
    }
    const clientPort = Number(/:(\d+)$/.exec(call.getPeer())?.[1])
    options.faults
      .around({ server: options.server, method, resource: resourceOf(request), request, clientPort }, () =>
        serve(request, { onEnd }),
      )
      .then(
        (response) => answer(null, response),
        (error: unknown) => answer(toServiceError(error)),
      )
  }
}

// https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto, and error_details.proto beside it
const details = protobuf.parse(`syntax = "proto3"; package google.rpc;
message Any { string type_url = 1; bytes value = 2; }
message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }`).root

function detailsOf(code: grpc.status, message: string, info: ErrorInfo): grpc.Metadata {
  const value = details.lookupType("google.rpc.ErrorInfo").encode(info).finish()
  const status = { code, message, details: [{ typeUrl: "type.googleapis.com/google.rpc.ErrorInfo", value }] }
  const metadata = new grpc.Metadata()
  metadata.set("grpc-status-details-bin", Buffer.from(details.lookupType("google.rpc.Status").encode(status).finish()))
  return metadata
}

function toServiceError(error: unknown): Partial<grpc.ServiceError> {
  if (error instanceof StatusError) {
    const { code, message, info } = error
    return { code, message, details: message, ...(info ? { metadata: detailsOf(code, message, info) } : {}) }
  }
  if (error instanceof InjectedError) {
    return { code: grpc.status[error.status], message: error.message, details: error.message }
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { code: grpc.status.INTERNAL, message, details: message }
}
