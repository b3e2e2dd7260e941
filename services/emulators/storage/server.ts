import type { IncomingHttpHeaders } from "node:http"
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify"
import { type Clock, systemClock } from "../clock.ts"
import { Faults } from "../faults.ts"
import { CONNECTIONS_MAX, findStranger, slownessLimits } from "../local-callers.ts"
import { ApiError, notImplemented, toApiError } from "./errors.ts"
import { type Answer, errorAnswer, type StorageRequest, xmlErrorAnswer } from "./http.ts"
import { selectFields } from "./partial-response.ts"
import { ResumableUploads } from "./resumable-upload.ts"
import { ROUTES, type Route } from "./routes.ts"
import { checkSignedTime } from "./signed-url.ts"
import { ObjectStore } from "./store.ts"
import { sendTruncated } from "./truncate-download.ts"

/*
 * The JSON API of Cloud Storage on one machine, over a folder: https://cloud.google.com/storage/docs/json_api/v1
 *
 * An object is a plain file, `<folder>/<bucket>/<object name>`, with its metadata beside in `<folder>/.metadata`. A name
 * that cannot be a path (`a//b`, `a/`, `a/../b`, a part of more than 255 bytes, or `a` beside `a/b`) works too; its
 * content is then in the side folder. One server at a time may run on a folder. A file that is put there by hand is no
 * object; one that is edited is served as it is now, so that clients see that its hash is wrong; one that is deleted is
 * not found.
 *
 * Where it differs from Google:
 * - Nobody is asked for credentials, and all buckets are in one list, whatever their project. A bucket's IAM policy is kept
 *   and returned; nobody is refused anything for it, and whoever tests permissions has them. Of a signed URL the times
 *   count, and its signature does not.
 * - There is no soft delete, holds, retention, access control lists, notifications or encryption keys: what is the API's and
 *   not in the table of routes answers 400 `notImplemented`, which no client tries again; encryption keys are refused.
 * - A bucket's location, class, lifecycle, soft delete policy and access configuration are kept and shown, and have no effect.
 * - `projection` and `userProject` are ignored.
 * - A rewrite is done in one call, however big the object is.
 * - A resumable upload is lost when the server stops. Its preconditions are checked at its start too, not only at its end.
 * - Of the XML API there are GET, HEAD and DELETE of objects alone.
 * - Every change is durable against the death of the process, but not of the machine: nothing is fsynced.
 */

export interface StorageServer {
  port: number
  /** What clients take as `apiEndpoint`, such as `http://127.0.0.1:4443`. */
  url: string
  faults: Faults
  stop(): Promise<void>
}

export interface StorageOptions {
  /** 0, the default, picks a free port. */
  port?: number
  /** Holds the buckets; made if it does not exist. */
  folder: string
  /** The address to listen on; by default this machine alone can reach it. */
  host?: string | undefined
  clock?: Clock
  faults?: Faults
}

// 1,024 bytes of UTF-8, each written as %XX.
const OBJECT_PARAMETER_LENGTH_MAX = 3 * 1024

// A client that sends nothing and reads nothing for so long is given up.
const SILENCE_MS_MAX = 60_000

export async function startStorage(options: StorageOptions): Promise<StorageServer> {
  const { folder, clock = systemClock, faults = new Faults() } = options
  const store = new ObjectStore(folder, clock)
  const uploads = new ResumableUploads(folder, store, clock)

  const { host = "127.0.0.1" } = options
  const app = Fastify({
    http: slownessLimits,
    // An upload takes as long as it takes: what is too slow is what sends nothing.
    requestTimeout: 0,
    connectionTimeout: SILENCE_MS_MAX,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: OBJECT_PARAMETER_LENGTH_MAX },
    frameworkErrors: (error, _request, reply) => void send(reply, errorAnswer(toApiError(error))),
  })
  // Bodies are content of any size and type: verbs read them from the request themselves, and set their own limits.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser("*", (_request, _payload, done) => done(null))
  app.setErrorHandler((error, _request, reply) => send(reply, errorAnswer(toApiError(error))))
  app.setNotFoundHandler((_request, reply) => send(reply, errorAnswer(new ApiError(404, "notFound", "Not Found"))))

  // A content's type is whatever its client says, and none for Fastify to read a body by.
  app.addHook("onRequest", async (request) => {
    const { headers } = request.raw
    contentTypes.set(request, headers["content-type"])
    if (headers["content-type"] !== undefined) headers["content-type"] = "application/octet-stream"
    const stranger = findStranger(headers, host !== "127.0.0.1")
    if (stranger !== undefined) throw new ApiError(403, "forbidden", stranger)
  })
  app.get("/healthz", () => ({ status: "ok" }))

  for (const route of ROUTES) {
    // With STORAGE_EMULATOR_HOST the official client leaves `/storage/v1` out of all calls but uploads.
    for (const version of route.isXml ? [""] : ["/storage/v1", ""]) {
      app.route({ method: route.method, url: `${route.base}${version}${route.path}`, handler: serveRoute(route) })
    }
  }
  app.server.maxConnections = CONNECTIONS_MAX
  await app.listen({ host, port: options.port ?? 0 })
  const { port } = app.server.address() as { port: number }
  return { port, url: `http://127.0.0.1:${port}`, faults, stop: () => app.close() }

  function serveRoute(route: Route) {
    return async (request: FastifyRequest, reply: FastifyReply) => {
      const params = request.params as Record<string, string | undefined>
      const { bucket = "", toBucket = bucket, toObject } = params
      const object = params["object"] ?? params["*"] ?? ""
      const destination = toObject === undefined ? undefined : { bucket: toBucket, object: toObject }
      const queries = manyValues(request.query as Record<string, string | string[]>)
      const query = singleValues(queries)
      const name = object || (uploads.find(query.upload_id)?.name ?? query.name ?? "")
      const resource = name === "" ? bucket : `${bucket}/${name}`
      const headers = { ...request.headers, "content-type": contentTypes.get(request) }
      const seen: StorageRequest = { query, headers }
      // Not destroyed when a verb gives up on it: that would cut the connection off before the error is answered.
      const body = request.raw.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Buffer>
      const origin = `http://${request.host}`
      let answer: Answer | undefined
      try {
        const clientPort = request.raw.socket.remotePort
        await faults.around({ server: "storage", method: route.id, resource, request: seen, clientPort }, async () => {
          refuseKeys(headers, query)
          if (route.isXml) checkSignedTime(query, clock.now())
          answer = await route.serve({
            store,
            uploads,
            folder,
            bucket,
            object,
            destination,
            address: decodeURIComponent(new URL(request.url, origin).pathname),
            query,
            queries,
            headers,
            body,
            origin,
          })
          if (answer.json) answer = { ...answer, json: selectFields(answer.json, query.fields) }
        })
      } catch (error) {
        answer?.content?.destroy()
        const isMedia = route.id === "storage.objects.get" && (query.alt === "media" || route.base === "/download")
        answer = route.isXml ? xmlErrorAnswer(toApiError(error)) : errorAnswer(toApiError(error), isMedia)
      }
      // What nobody wanted of the body is taken off the connection, so that its next request is not stuck behind it.
      await body.return?.()
      request.raw.resume()
      if (seen.truncateAtBytes === undefined) return send(reply, answer!)
      void reply.hijack()
      return sendTruncated(reply.raw, answer!, seen.truncateAtBytes)
    }
  }
}

/** The header as it came; Fastify has seen another. */
const contentTypes = new WeakMap<FastifyRequest, string | undefined>()

/** Who asks for their own key must not believe that the content is encrypted with it. */
function refuseKeys(headers: IncomingHttpHeaders, query: StorageRequest["query"]): void {
  const header = Object.keys(headers).find((name) => /^x-goog-(copy-source-)?encryption-/.test(name))
  const parameter = ["kmsKeyName", "destinationKmsKeyName"].find((name) => query[name])
  if (header ?? parameter) throw notImplemented(`Encryption by a key of one's own (${header ?? parameter})`)
}

function send(reply: FastifyReply, answer: Answer): FastifyReply {
  void reply.code(answer.status).headers(answer.headers ?? {})
  if (!answer.json) return reply.send(answer.content)
  return reply.type("application/json; charset=UTF-8").send(JSON.stringify(answer.json))
}

function manyValues(query: Record<string, string | string[]>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(query).map(([key, value]) => [key, [value].flat()]))
}

function singleValues(queries: Record<string, string[]>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(queries).map(([key, [value]]) => [key, value]))
}
