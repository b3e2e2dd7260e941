import type { IncomingHttpHeaders } from "node:http"
import { Readable } from "node:stream"
import { ApiError, errorBody, invalid } from "./errors.ts"
import type { ResumableUploads } from "./resumable-upload.ts"
import type { ObjectStore } from "./store.ts"

/** A call as the route's verb sees it. */
export interface ApiCall {
  store: ObjectStore
  uploads: ResumableUploads
  folder: string
  bucket: string
  object: string
  /** Where a copy goes. */
  destination?: { bucket: string; object: string } | undefined
  /** Of the address, decoded. */
  address: string
  query: Record<string, string | undefined>
  /** All values of each parameter. */
  queries: Record<string, string[]>
  headers: IncomingHttpHeaders
  body: AsyncIterableIterator<Buffer>
  /** As the client addresses the server, such as `http://127.0.0.1:4443`. */
  origin: string
}

/** What a fault finds in a call's `request`. */
export interface StorageRequest {
  query: Record<string, string | undefined>
  headers: IncomingHttpHeaders
  /** Set by a fault: the connection breaks after so many bytes of the content. */
  truncateAtBytes?: number
}

export interface Answer {
  status: number
  headers?: Record<string, string>
  /** Sent as JSON. */
  json?: object
  /** Sent as it is. */
  content?: Readable
}

export const ok = (json: object): Answer => ({ status: 200, json })

/** Google sends the error of a download as plain text, of which the client makes the error's message. */
export function errorAnswer(error: ApiError, isMedia = false): Answer {
  if (error.code === 304) return { status: 304 }
  if (!isMedia) return { status: error.code, json: errorBody(error) }
  const headers = { "content-type": "text/html; charset=UTF-8" }
  return { status: error.code, headers, content: Readable.from([Buffer.from(error.message)]) }
}

/** https://cloud.google.com/storage/docs/xml-api/reference-status */
export function xmlErrorAnswer(error: ApiError): Answer {
  if (error.code === 304) return { status: 304 }
  const byReason = { notImplemented: "NotImplemented", expired: "ExpiredToken" }[error.reason]
  const byCode = { 403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed", 416: "InvalidRange" }[error.code]
  const code = byReason ?? byCode ?? "InvalidArgument"
  const message = error.message.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
  const text = `<?xml version='1.0' encoding='UTF-8'?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
  const headers = { "content-type": "application/xml; charset=UTF-8" }
  return { status: error.code, headers, content: Readable.from([Buffer.from(text)]) }
}

// An object's custom metadata may be 8 KiB in Google: https://cloud.google.com/storage/quotas#objects
const JSON_BYTES_MAX = 1024 * 1024

/** The JSON of a request; an empty body is an empty object. */
export async function readJson(body: AsyncIterable<Buffer>): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > JSON_BYTES_MAX) throw new ApiError(413, "uploadTooLarge", "The metadata is larger than 1 MiB.")
    chunks.push(chunk)
  }
  return parseJson(Buffer.concat(chunks))
}

export function parseJson(bytes: Buffer): unknown {
  const text = bytes.toString("utf8").trim()
  if (text === "") return {}
  try {
    // Some clients write nothing as null.
    return JSON.parse(text) ?? {}
  } catch (error) {
    throw invalid(`Parse Error: ${(error as Error).message}`)
  }
}
