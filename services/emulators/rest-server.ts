import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { status } from "@grpc/grpc-js"
import { fromProto3JSON, type JSONValue, toProto3JSON } from "proto3-json-serializer"
import protobuf from "protobufjs"
import type { Faults } from "./faults.ts"
import { InjectedError } from "./faults.ts"
import { type HttpRoute, readHttpRoutes } from "./http-rules.ts"
import { CONNECTIONS_MAX, findStranger, slownessLimits } from "./local-callers.ts"
import { type CallServer, resourceOf, type ServiceMethods, type UnaryMethods } from "./service-methods.ts"
import { StatusError } from "./status-error.ts"

/*
 * The same methods as JSON over HTTP/1.1, at the addresses that their descriptors name: what gcloud, clients with
 * `fallback: true` and curl speak. Streams are for gRPC alone, as they are at Google.
 */

export interface RestOptions {
  server: CallServer
  /** What a package's protos.json holds. */
  descriptors: protobuf.INamespace
  services: ServiceMethods[]
  faults: Faults
  /** Answers what is at no method's address; undefined if it is not its either. */
  others?: ((request: RestRequest, invoke: Invoke) => Promise<object | undefined>) | undefined
  /** Others than this machine's programs may come. */
  isOpen: boolean
}

/** Calls a method by its name, with its request and its answer as JSON. */
export type Invoke = (method: string, request: Record<string, unknown>) => Promise<object>

export interface RestRequest {
  verb: string
  /** The name of the server, as the client has it. */
  host: string
  path: string
  query: URLSearchParams
  body: unknown
}

interface ServedRoute extends HttpRoute {
  /** Undefined: the API has the method, and this server does not. */
  serve: UnaryMethods[string] | undefined
  service: string
  request: protobuf.Type
  response: protobuf.Type
}

// As for gRPC, with what base64 adds.
const BODY_BYTES_MAX = 30 * 1024 * 1024

// https://cloud.google.com/apis/docs/system-parameters: how the answer shall look, which here it always does.
const SYSTEM_PARAMETERS = /^(\$.*|alt|prettyPrint|key|fields|access_token|oauth_token|quotaUser|callback|upload.*)$/

/** An HTTP server that does not listen: connections are handed to it. */
export function createRestServer(options: RestOptions): Server {
  const routes = readRoutes(options)
  const server = createServer((request, response) => {
    // From here on it is the body that is waited for, and then this server.
    request.socket.setTimeout(slownessLimits.requestTimeout)
    void serve(options, routes, request, response)
  })
  // Node looks after slow connections of a server that listens itself, which this one does not.
  server.timeout = slownessLimits.headersTimeout
  server.maxConnections = CONNECTIONS_MAX
  return server
}

function readRoutes({ descriptors, services }: RestOptions): ServedRoute[] {
  const root = protobuf.Root.fromJSON(descriptors)
  const served = new Map(services.map((service) => [service.name, service]))
  return servicesOf(root).flatMap((descriptor) => {
    const name = descriptor.fullName.slice(1)
    const { unary, http }: Partial<ServiceMethods> = served.get(name) ?? {}
    return descriptor.methodsArray.flatMap((method) => {
      if (method.requestStream || method.responseStream) return []
      method.resolve()
      const { resolvedRequestType: request, resolvedResponseType: response } = method
      if (!request || !response) return []
      const known = { serve: unary?.[method.name], service: name, request, response }
      return readHttpRoutes(method, http?.[method.name]).map((route) => ({ ...route, ...known }))
    })
  })
}

/** All that the API has, offered here or not. */
function servicesOf(namespace: protobuf.NamespaceBase): protobuf.Service[] {
  return namespace.nestedArray.flatMap((one) =>
    one instanceof protobuf.Service ? [one] : one instanceof protobuf.Namespace ? servicesOf(one) : [],
  )
}

async function serve(
  options: RestOptions,
  routes: ServedRoute[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = (code: number, json: object) => {
    if (response.headersSent) return
    response.writeHead(code, { "content-type": "application/json; charset=UTF-8" }).end(JSON.stringify(json, null, 2))
  }
  try {
    // gcloud makes names of regions out of the server's, and finds it as its proxy: no web page can send such a request.
    const isProxied = /^https?:/.test(request.url ?? "")
    const stranger = findStranger(request.headers, options.isOpen || isProxied)
    if (stranger !== undefined) throw new StatusError(status.PERMISSION_DENIED, stranger)
    const { pathname, searchParams, hostname } = new URL(request.url ?? "/", "http://local")
    const host = isProxied ? hostname : (request.headers.host ?? "")
    const verb = request.method ?? "GET"
    if (verb === "GET" && (pathname === "/" || pathname === "/healthz")) return answer(200, { status: "ok" })
    const path = decodeURIComponent(pathname)
    const body = parseBody(await readBody(request))
    request.socket.setTimeout(0)
    const isAt = (one: ServedRoute) => one.verb === verb && one.path.test(path)
    const route = routes.find((one) => one.serve && isAt(one))
    if (!route) {
      const invoke: Invoke = async (method, json) => {
        const called = routes.find((one) => one.serve && one.method === method)
        if (!called) throw new StatusError(status.UNIMPLEMENTED, `The method ${method} is not offered here.`)
        return callMethod(options, called, json as Record<string, JSONValue>, request, response)
      }
      const answered = await options.others?.({ verb, host, path, query: searchParams, body }, invoke)
      if (answered) return answer(200, answered)
      const missing = routes.find(isAt)
      if (missing) throw notOffered(missing)
      const known = routes.some((one) => one.path.test(path))
      throw new StatusError(
        status.NOT_FOUND,
        known ? `${verb} is not a method of ${path}.` : `There is nothing at ${path}.`,
      )
    }
    answer(200, await callMethod(options, route, readRequest(route, path, searchParams, body), request, response))
  } catch (error) {
    const { code, message, info } = toStatus(error)
    const http = httpStatuses[code] ?? 500
    const details = info && [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", ...info }]
    answer(http, { error: { code: http, message, status: status[code], details } })
  }
}

async function callMethod(
  { server, faults }: RestOptions,
  route: ServedRoute,
  json: Record<string, JSONValue>,
  connection: IncomingMessage,
  response: ServerResponse,
): Promise<object> {
  // As the gRPC server hands it to the same method.
  const request = route.request.toObject(fromJson(route.request, json), loaderOptions)
  const onEnd = (callback: () => void) => {
    if (response.writableFinished || response.destroyed) setImmediate(callback)
    else response.once("close", callback)
  }
  const clientPort = connection.socket.remotePort
  const call = { server, method: route.method, resource: resourceOf(request), request, clientPort }
  const answered = (await faults.around(call, () => {
    if (!route.serve) throw notOffered(route)
    return route.serve(request, { onEnd })
  })) as object
  return toProto3JSON(route.response.fromObject(answered)) as object
}

const notOffered = ({ service, method }: ServedRoute) =>
  new StatusError(status.UNIMPLEMENTED, `The method ${service}/${method} is not offered here.`)

const loaderOptions = { longs: String, enums: String, bytes: Buffer, defaults: true, oneofs: true } as const

/** The request's fields out of address, query and body. */
function readRequest(
  route: ServedRoute,
  path: string,
  query: URLSearchParams,
  body: unknown,
): Record<string, JSONValue> {
  const json: Record<string, JSONValue> = {}
  if (route.body === "*") Object.assign(json, body)
  else if (route.body !== "") setField(route.request, json, route.body, body as JSONValue)
  for (const [name, value] of query) {
    if (!SYSTEM_PARAMETERS.test(name)) setField(route.request, json, name, value)
  }
  const [, ...groups] = route.path.exec(path) ?? []
  for (const [at, field] of route.fields.entries()) setField(route.request, json, field, groups[at] ?? "")
  return normalize(route.request, json) as Record<string, JSONValue>
}

/** Sets `a.b`, adds to what is repeated, and reads a query's text as the field's type. */
function setField(type: protobuf.Type, json: Record<string, JSONValue>, name: string, value: JSONValue): void {
  const [first = "", ...rest] = name.split(".")
  const field = findField(type, first)
  if (rest.length > 0) {
    if (!(field.resolve().resolvedType instanceof protobuf.Type)) throw unknownName(first)
    json[field.name] ??= {}
    setField(field.resolvedType as protobuf.Type, json[field.name] as Record<string, JSONValue>, rest.join("."), value)
  } else if (field.repeated && !Array.isArray(value)) {
    json[field.name] = [...((json[field.name] as JSONValue[] | undefined) ?? []), value]
  } else json[field.name] = field.type === "bool" && typeof value === "string" ? value !== "false" : value
}

/** Names as the descriptor has them, whether they came as `ack_ids` or `ackIds`; what it does not know is refused, as Google does. */
function normalize(type: protobuf.Type, json: JSONValue): JSONValue {
  // In JSON a mask's paths are written as the fields are, and in the message as the descriptor has them.
  if (type.fullName === ".google.protobuf.FieldMask" && typeof json === "string") {
    return json.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  }
  if (type.fullName.startsWith(".google.protobuf.") || typeof json !== "object" || json === null) return json
  if (Array.isArray(json)) throw invalid(`Invalid value for ${type.name}: an object was expected.`)
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      const field = findField(type, name)
      const nested = field.resolve().resolvedType
      if (!(nested instanceof protobuf.Type)) return [field.name, value]
      if (field.repeated && Array.isArray(value)) return [field.name, value.map((one) => normalize(nested, one))]
      if (field instanceof protobuf.MapField && typeof value === "object" && value !== null) {
        return [
          field.name,
          Object.fromEntries(Object.entries(value).map(([key, one]) => [key, normalize(nested, one)])),
        ]
      }
      return [field.name, normalize(nested, value)]
    }),
  )
}

function findField(type: protobuf.Type, name: string): protobuf.Field {
  const camel = name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
  const field = Object.hasOwn(type.fields, camel) ? type.fields[camel] : undefined
  if (!field) throw unknownName(name)
  return field
}

function fromJson(type: protobuf.Type, json: Record<string, JSONValue>): protobuf.Message {
  try {
    const message = fromProto3JSON(type, json) as protobuf.Message
    return message
  } catch (error) {
    throw invalid(`Invalid JSON payload received. ${error instanceof Error ? error.message : String(error)}`)
  }
}

const invalid = (message: string) => new StatusError(status.INVALID_ARGUMENT, message)
const unknownName = (name: string) =>
  invalid(`Invalid JSON payload received. Unknown name "${name}": Cannot find field.`)

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) throw invalid("Request payload size exceeds the limit.")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parseBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return {}
  try {
    return JSON.parse(bytes.toString("utf8"))
  } catch (error) {
    throw invalid(`Invalid JSON payload received. ${error instanceof Error ? error.message : ""}`)
  }
}

function toStatus(error: unknown): Pick<StatusError, "code" | "message"> & { info?: StatusError["info"] } {
  if (error instanceof StatusError) return error
  if (error instanceof InjectedError) return { code: status[error.status], message: error.message }
  if (error instanceof URIError) return { code: status.INVALID_ARGUMENT, message: "The address is malformed." }
  return { code: status.INTERNAL, message: error instanceof Error ? error.message : String(error) }
}

// https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
const httpStatuses: Partial<Record<status, number>> = {
  [status.CANCELLED]: 499,
  [status.UNKNOWN]: 500,
  [status.INVALID_ARGUMENT]: 400,
  [status.DEADLINE_EXCEEDED]: 504,
  [status.NOT_FOUND]: 404,
  [status.ALREADY_EXISTS]: 409,
  [status.PERMISSION_DENIED]: 403,
  [status.UNAUTHENTICATED]: 401,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.FAILED_PRECONDITION]: 400,
  [status.ABORTED]: 409,
  [status.OUT_OF_RANGE]: 400,
  [status.UNIMPLEMENTED]: 501,
  [status.INTERNAL]: 500,
  [status.UNAVAILABLE]: 503,
  [status.DATA_LOSS]: 500,
}
