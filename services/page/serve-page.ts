import { createHash, randomUUID } from "node:crypto"
import { promisify } from "node:util"
import { gzip } from "node:zlib"
import type { Bucket } from "@google-cloud/storage"
import { type FastifyInstance, fastify } from "fastify"
import { explainDatabaseError } from "../../shared/database/explain-database-error.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { findYesterday } from "../../shared/day/revenue-day.ts"
import { describeError, PermanentError } from "../../shared/errors.ts"
import { readMark } from "../../shared/ledger/read-mark.ts"
import { readRequest } from "../../shared/messages/person-requests.ts"
import { slowClientLimits } from "../../shared/slow-clients.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import { serveApi } from "./api.ts"
import { guardPage } from "./guard-page.ts"
import { renderDocument } from "./html/document.ts"
import { previewAction } from "./preview-action.ts"
import { createAskedReader } from "./read-asked.ts"
import { type Chosen, type PageSettings, readView } from "./read-view.ts"
import { sendTrouble } from "./send-trouble.ts"
import { type Publish, serveActions } from "./serve-actions.ts"
import { assetsDigest, serveAssets } from "./serve-assets.ts"
import type { VerifyViewer } from "./verify-viewer.ts"

export interface PageOptions {
  db: Database
  bucket: Bucket
  log: Log
  port: number
  host: string
  settings: PageSettings
  project: string
  databaseUrl: string
  /** The data folder of a local cloud. */
  localFolder?: string | undefined
  /** Says who looks; without it nobody is asked, and only this machine's own names are answered. */
  verify?: VerifyViewer | undefined
  /** Sends a request and returns its message id; without it nothing can be asked for, and there is no route that would. */
  publish?: Publish | undefined
  now?: (() => Date) | undefined
}

const POLL_BUSY_MS = 1_000
const POLL_IDLE_MS = 10_000
const FORM_BYTES_MAX = 64 * 1_024

// Smaller ones fit into one packet anyway.
const COMPRESSED_MIN = 1_000

// Not of the OpenAPI document, which is of the JSON.
const hidden = { schema: { hide: true } }

const zip = promisify(gzip)

interface Query {
  day?: string
  version?: string
  shards?: string
  asked?: string
  topic?: string
  [field: string]: string | undefined
}

/** Serves the page, and the same as JSON. */
export async function servePage(options: PageOptions): Promise<{ url: string; close: () => Promise<void> }> {
  const { log, db, publish, now = () => new Date() } = options
  const server = fastify({
    bodyLimit: FORM_BYTES_MAX,
    forceCloseConnections: true,
    requestTimeout: 30_000,
    http: slowClientLimits,
  })
  server.get("/healthz", () => ({ status: "ok" }))
  guardPage(server, log, options.verify)
  compress(server)
  serveAssets(server)
  const readAsked = createAskedReader({ bucket: options.bucket, log, now })
  await serveApi(server, { db, settings: options.settings, now })

  server.get<{ Querystring: Query }>("/", hidden, async (request, reply) => {
    const { query } = request
    const [mark, asked] = await Promise.all([readMark(db), readAsked(query.asked, query.topic)])
    const minute = Math.floor(now().getTime() / 60_000)
    const etag = `"${createHash("sha256")
      .update(JSON.stringify([mark, asked, minute, query, request.viewer, assetsDigest]))
      .digest("base64url")
      .slice(0, 22)}"`
    if (request.headers["if-none-match"] === etag) return reply.code(304).send()
    const view = await readView(db, options.settings, toChosen(query), now())
    const requested = publish ? readRequest(query) : undefined
    const isBusy = view.unfinished > 0 || view.backfills.length > 0 || asked?.isAwaited
    const page = await renderDocument(view, {
      viewer: request.viewer,
      canAct: publish !== undefined,
      preview: requested && (await previewAction(db, requested, findYesterday(now(), options.settings.timeZone).date)),
      form: randomUUID(),
      day: query.day || undefined,
      asked,
      pollMs: isBusy ? POLL_BUSY_MS : POLL_IDLE_MS,
      etag,
      bucket: options.bucket.name,
      project: options.project,
      localFolder: options.localFolder,
    })
    return reply.header("etag", etag).type("text/html; charset=utf-8").send(String(page))
  })
  if (publish) serveActions(server, publish, log)

  server.setNotFoundHandler(async (request, reply) =>
    sendTrouble(request, reply, {
      status: 404,
      sentence: `There is no ${new URL(request.url, "http://page").pathname} here.`,
    }),
  )
  server.setErrorHandler(async (error, request, reply) => {
    if (error instanceof PermanentError) return sendTrouble(request, reply, { status: 400, sentence: error.message })
    const status = (error as { statusCode?: number }).statusCode ?? 500
    if (status < 500) return sendTrouble(request, reply, { status, sentence: describeError(error) })
    const sentence = explainDatabaseError(error, options.databaseUrl) ?? "The page cannot be made just now."
    log.error({ path: request.url, error: describeError(error) }, "a page cannot be made")
    return sendTrouble(request, reply, { status: 503, sentence })
  })
  await server.listen({ port: options.port, host: options.host })
  const address = server.server.address()
  const port = typeof address === "object" && address ? address.port : options.port
  return {
    url: `http://${options.host.includes(":") ? "localhost" : options.host}:${port}`,
    close: () => server.close(),
  }
}

function toChosen({ day, version, shards }: Query): Chosen {
  const whole = (text: string | undefined) => (text && /^\d{1,9}$/.test(text) ? Number(text) : undefined)
  return { day: day || undefined, version: whole(version), shardPage: whole(shards) }
}

function compress(server: FastifyInstance): void {
  server.addHook("onSend", async (request, reply, payload: unknown) => {
    if (typeof payload !== "string" || payload.length < COMPRESSED_MIN) return payload
    if (!/\bgzip\b/.test(request.headers["accept-encoding"] ?? "")) return payload
    void reply.header("content-encoding", "gzip").header("vary", "accept-encoding").removeHeader("content-length")
    return zip(payload)
  })
}
