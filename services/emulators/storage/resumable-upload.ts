import { randomUUID } from "node:crypto"
import type { Clock } from "../clock.ts"
import { type Conditions, checkConditions } from "./conditions.ts"
import { type ContentRange, parseContentRange } from "./content-range.ts"
import { ApiError, invalid } from "./errors.ts"
import type { InsertedObject, StoredObject } from "./object-resource.ts"
import type { ObjectStore } from "./store.ts"
import { type ExpectedHashes, UploadFile } from "./upload-file.ts"

// https://cloud.google.com/storage/docs/resumable-uploads#session-uris
const SESSION_LIFE_MS = 7 * 24 * 3600 * 1000
// Sessions that clients forget lie around until then; beyond this many, the oldest goes.
const SESSIONS_MAX = 1000
// https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload
const CHUNK_MULTIPLE_BYTES = 256 * 1024

export interface ResumableUpload {
  id: string
  bucket: string
  name: string
  metadata: InsertedObject
  conditions: Conditions
  /** The size of the whole, once the client has said it. */
  totalBytes: number | undefined
  expiresAt: number
  file: UploadFile
  /** The object that it has become. */
  object: StoredObject | undefined
  /** The request that is being served: the next one of the same upload waits for it. */
  last: Promise<unknown>
}

/** `object`: the upload is whole. Otherwise the server has `receivedBytes` and wants more. */
export type UploadProgress = { object: StoredObject } | { object?: never; receivedBytes: number }

/** https://cloud.google.com/storage/docs/performing-resumable-uploads */
export class ResumableUploads {
  readonly #folder: string
  readonly #store: ObjectStore
  readonly #clock: Clock
  readonly #uploads = new Map<string, ResumableUpload>()

  constructor(folder: string, store: ObjectStore, clock: Clock) {
    this.#folder = folder
    this.#store = store
    this.#clock = clock
  }

  find(id: string | undefined): ResumableUpload | undefined {
    return this.#uploads.get(id ?? "")
  }

  async start(
    upload: Pick<ResumableUpload, "bucket" | "name" | "metadata" | "conditions" | "totalBytes">,
  ): Promise<string> {
    // Checked again when the upload becomes the object: this is only to say it early.
    checkConditions(upload.conditions, this.#store.findObject(upload.bucket, upload.name), "write")
    await this.#sweep()
    const id = randomUUID()
    const expiresAt = this.#clock.now() + SESSION_LIFE_MS
    const file = await UploadFile.create(this.#folder)
    this.#uploads.set(id, { ...upload, id, expiresAt, file, object: undefined, last: Promise.resolve() })
    return id
  }

  /** Takes one request of an upload: a chunk, the rest, or a question how far it has come. */
  async receive(
    id: string | undefined,
    contentRange: string | undefined,
    body: AsyncIterable<Buffer>,
    expected: ExpectedHashes,
  ): Promise<UploadProgress> {
    const range = parseContentRange(contentRange)
    return this.#inTurn(id, async (upload) => {
      // The client may not have seen the answer to its last request: it is told again, whatever it sends.
      if (upload.object) return { object: upload.object }
      if (range.totalBytes !== undefined && range.totalBytes !== (upload.totalBytes ?? range.totalBytes)) {
        throw invalid(`The upload was said to have ${upload.totalBytes} bytes, now ${range.totalBytes}.`)
      }
      upload.totalBytes ??= range.totalBytes
      const { file } = upload
      if (range.firstByte !== undefined) {
        checkChunk(range.firstByte, file.receivedBytes)
        const fresh = skipBytes(body, file.receivedBytes - range.firstByte)
        await file.receive(limitBytes(wholeChunks(fresh, range, file.receivedBytes), upload, range))
      }
      const isWhole = upload.totalBytes === undefined ? range.isOpenEnded : file.receivedBytes === upload.totalBytes
      if (!isWhole) return { receivedBytes: file.receivedBytes }
      upload.object = this.#commit(upload, expected)
      return { object: upload.object }
    })
  }

  async cancel(id: string | undefined): Promise<void> {
    await this.#inTurn(id, (upload) => this.#forget(upload))
  }

  #get(id: string | undefined): ResumableUpload {
    const upload = this.find(id)
    if (!upload || upload.expiresAt <= this.#clock.now()) {
      throw new ApiError(404, "notFound", `No such resumable upload: ${id}`)
    }
    return upload
  }

  #commit(upload: ResumableUpload, expected: ExpectedHashes): StoredObject {
    const { name: _, crc32c, md5Hash, ...fields } = upload.metadata
    upload.file.finish(expected)
    const content = upload.file.finish({ crc32c, md5Hash })
    return this.#store.commitObject(upload.bucket, upload.name, content, fields, upload.conditions)
  }

  async #inTurn<T>(id: string | undefined, serve: (upload: ResumableUpload) => Promise<T>): Promise<T> {
    const upload = this.#get(id)
    // Looked up again when the turn has come: the one before may have cancelled it.
    const turn = upload.last.then(() => serve(this.#get(id)))
    upload.last = turn.catch(() => {})
    return turn
  }

  async #forget(upload: ResumableUpload): Promise<void> {
    this.#uploads.delete(upload.id)
    await upload.file.discard()
  }

  async #sweep(): Promise<void> {
    for (const upload of this.#uploads.values()) {
      if (upload.expiresAt > this.#clock.now() && this.#uploads.size < SESSIONS_MAX) return
      await this.#forget(upload)
    }
  }
}

function checkChunk(firstByte: number, receivedBytes: number): void {
  if (firstByte > receivedBytes) {
    throw invalid(`The content range starts at ${firstByte}, but only ${receivedBytes} bytes have been received.`)
  }
}

/** Of a chunk that is not the last Google keeps multiples of 256 KiB, and says in its answer how far it has come. */
async function* wholeChunks(
  body: AsyncIterable<Buffer>,
  { lastByte, totalBytes }: ContentRange,
  receivedBytes: number,
) {
  const isLast = lastByte === undefined || lastByte + 1 === totalBytes
  const end = isLast ? Infinity : Math.floor((lastByte + 1) / CHUNK_MULTIPLE_BYTES) * CHUNK_MULTIPLE_BYTES
  let at = receivedBytes
  for await (const chunk of body) {
    if (at < end) yield chunk.subarray(0, Math.min(chunk.length, end - at))
    at += chunk.length
  }
}

/** Leaves out what the server has from an earlier request. */
async function* skipBytes(body: AsyncIterable<Buffer>, bytes: number) {
  let left = bytes
  for await (const chunk of body) {
    if (chunk.length > left) yield chunk.subarray(left)
    left = Math.max(left - chunk.length, 0)
  }
}

/** Refuses to take more than the client has said there is. */
async function* limitBytes(body: AsyncIterable<Buffer>, upload: ResumableUpload, range: ContentRange) {
  const end = range.lastByte === undefined ? (upload.totalBytes ?? Infinity) : range.lastByte + 1
  for await (const chunk of body) {
    if (upload.file.receivedBytes + chunk.length > end) {
      throw invalid(`The body has more bytes than its content range, which ends before byte ${end}.`)
    }
    yield chunk
  }
}
