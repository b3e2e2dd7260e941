import { createHash, randomUUID } from "node:crypto"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { Bucket, GetFilesOptions } from "@google-cloud/storage"
import pMap from "p-map"
import { describeError } from "../errors.ts"
import { type RetryOptions, retryTransient } from "../retry.ts"

// Each loss of the race means that somebody else replaced the document in between.
const REPLACE_TRIES_MAX = 10

// A document, or a thousand names of a listing, take less than a second where anybody answers.
const DEADLINE_MS = 30_000

// A document of every user of a day is written as the database tells of them.
const STREAM_DEADLINE_MS = 60 * 60_000

// Small requests: the time goes into round trips.
const DELETES_AT_ONCE = 32

/** Reads a document; undefined if there is none. */
export async function readDocument(bucket: Bucket, path: string, options: RetryOptions): Promise<string | undefined> {
  return readExisting(bucket, path, options, async () => {
    const [content] = await bucket.file(path).download()
    return content.toString("utf8")
  })
}

/**
 * Writes a document if there is none at this path. Returns the text that is there afterwards: the given one, or what
 * somebody else, or an earlier try of this very call, had written.
 */
export async function createDocument(
  bucket: Bucket,
  path: string,
  text: string,
  options: RetryOptions,
): Promise<string> {
  if (await save(bucket, path, text, "0", options)) return text
  const existing = await readDocument(bucket, path, options)
  if (!existing) throw new Error(`gs://${bucket.name}/${path} was there and is gone again: who deletes documents?`)
  return existing
}

/**
 * Writes a document over an older one. `supersedes` says, of the text that is there, whether the new one may replace
 * it. Returns undefined if it may not, else where it is: writing the same text again is no change. Where the bucket does
 * not let a document be replaced (a retention policy, a hold, a role that may only create), it is written at `beside`.
 */
export async function replaceDocument(
  bucket: Bucket,
  { path, beside }: { path: string; beside: string },
  text: string,
  supersedes: (existing: string) => boolean | Promise<boolean>,
  options: RetryOptions,
): Promise<string | undefined> {
  let generation = "0"
  for (let attempt = 0; attempt < REPLACE_TRIES_MAX; attempt++) {
    try {
      if (await save(bucket, path, text, generation, options)) return path
    } catch (error) {
      if (generation === "0" || !hasCode(error, 403)) throw error
      await createDocument(bucket, beside, text, options)
      const what = { path: `gs://${bucket.name}/${path}`, beside, error: describeError(error) }
      options.log.warn(what, "the bucket keeps a document as it was first written; the newer one is beside it")
      return beside
    }
    const existing = await readGeneration(bucket, path, options)
    if (existing?.text === text) return path
    if (existing && !(await supersedes(existing.text))) return undefined
    generation = existing?.generation ?? "0"
  }
  throw isContested(bucket, path)
}

/**
 * Writes a document anew with what `rewrite` makes of its text. Returns false where it is gone, or stays as it is. Where the
 * bucket does not let it be replaced, the error has the code 403.
 */
export async function rewriteDocument(
  bucket: Bucket,
  path: string,
  rewrite: (text: string) => string,
  options: RetryOptions,
): Promise<boolean> {
  for (let attempt = 0; attempt < REPLACE_TRIES_MAX; attempt++) {
    const existing = await readGeneration(bucket, path, options)
    if (!existing) return false
    const text = rewrite(existing.text)
    if (text === existing.text) return false
    if (await save(bucket, path, text, existing.generation, options)) return true
  }
  throw isContested(bucket, path)
}

function isContested(bucket: Bucket, path: string): Error {
  return new Error(`gs://${bucket.name}/${path} was replaced by others ${REPLACE_TRIES_MAX} times in a row`)
}

/**
 * Writes a document of any size as it is made, over what is there; returns its path, which is another where the bucket does
 * not let it be replaced. `makeContent` is called for each try. What is written by several at once is one of theirs, whole.
 */
export async function streamDocument(
  bucket: Bucket,
  path: string,
  makeContent: () => AsyncIterable<string>,
  options: RetryOptions,
): Promise<string> {
  for (let attempt = 0; attempt < REPLACE_TRIES_MAX; attempt++) {
    const generation = (await readMetadata(bucket, path, options))?.generation ?? "0"
    try {
      if (await stream(bucket, path, makeContent, generation, options)) return path
    } catch (error) {
      if (generation === "0" || !hasCode(error, 403)) throw error
      return streamDocument(bucket, path.replace(/(?=\.[^./]*$)/, `-${randomUUID()}`), makeContent, options)
    }
  }
  throw isContested(bucket, path)
}

function stream(
  bucket: Bucket,
  path: string,
  makeContent: () => AsyncIterable<string>,
  generation: string,
  options: RetryOptions,
): Promise<boolean> {
  return write(bucket, path, { deadlineMs: STREAM_DEADLINE_MS, ...options }, () =>
    pipeline(
      Readable.from(makeContent()),
      bucket.file(path).createWriteStream({
        resumable: false,
        contentType: "application/x-ndjson",
        preconditionOpts: { ifGenerationMatch: generation },
      }),
    ),
  )
}

/** Deletes all documents below a folder; returns how many there were. Done again, it deletes what is left. */
export async function deleteDocuments(bucket: Bucket, folder: string, options: RetryOptions): Promise<number> {
  const documents = await listDocuments(bucket, folder, options)
  await pMap(documents, ({ path }) => deleteDocument(bucket, path, options), { concurrency: DELETES_AT_ONCE })
  return documents.length
}

/** Deletes a document; one that is gone already is deleted. */
export async function deleteDocument(bucket: Bucket, path: string, options: RetryOptions): Promise<void> {
  await readExisting(bucket, path, options, () => bucket.file(path).delete())
}

/** A document as a listing of its folder tells of it. */
export interface ListedDocument {
  path: string
  /** The content's MD5 hash, base64; undefined where the bucket has none. */
  md5: string | undefined
}

/** All documents below a folder. */
export async function listDocuments(bucket: Bucket, folder: string, options: RetryOptions): Promise<ListedDocument[]> {
  return Array.fromAsync(eachDocument(bucket, folder, options))
}

/** The same one after the other: of a folder with very many, no more than a request's are held. */
export async function* eachDocument(
  bucket: Bucket,
  folder: string,
  options: RetryOptions,
): AsyncGenerator<ListedDocument> {
  let query: GetFilesOptions | undefined = { prefix: folder, autoPaginate: false }
  while (query) {
    const page: GetFilesOptions = query
    const list = () => bucket.getFiles(page)
    const [files, next] = await retryTransient(`list gs://${bucket.name}/${folder}`, list, {
      deadlineMs: DEADLINE_MS,
      ...options,
    })
    for (const file of files) yield { path: file.name, md5: file.metadata.md5Hash }
    query = next ? { ...next, autoPaginate: false } : undefined
  }
}

/** Whether a listed document holds just this text. */
export function holdsText({ md5 }: ListedDocument, text: string): boolean {
  return md5 !== undefined && md5 === md5Of(text)
}

const md5Of = (text: string) => createHash("md5").update(text).digest("base64")

/** The generation that a conditional write over a document must name. */
async function readMetadata(bucket: Bucket, path: string, options: RetryOptions) {
  return readExisting(bucket, path, options, async () => {
    const [{ generation }] = await bucket.file(path).getMetadata()
    return { generation: String(generation) }
  })
}

/** A document with that generation. */
async function readGeneration(bucket: Bucket, path: string, options: RetryOptions) {
  return readExisting(bucket, path, options, async () => {
    const [metadata] = await bucket.file(path).getMetadata()
    const generation = String(metadata.generation)
    // The generation pins the content to the metadata: somebody may replace the document in between.
    const [content] = await bucket.file(path, { generation }).download()
    return { text: content.toString("utf8"), generation }
  })
}

async function readExisting<T>(bucket: Bucket, path: string, options: RetryOptions, read: () => Promise<T>) {
  return retryTransient(
    `read gs://${bucket.name}/${path}`,
    async () => {
      try {
        return await read()
      } catch (error) {
        if (hasCode(error, 404) && !isBucketMissing(error)) return undefined
        throw error
      }
    },
    { deadlineMs: DEADLINE_MS, ...options },
  )
}

/** One conditional write; false if the precondition did not hold. */
async function save(
  bucket: Bucket,
  path: string,
  text: string,
  generation: string,
  options: RetryOptions,
): Promise<boolean> {
  try {
    return await write(bucket, path, options, () =>
      bucket.file(path).save(text, {
        resumable: false,
        // The bucket compares it before there is an object; the client itself would compare afterwards, in twice the time.
        validation: false,
        metadata: { contentType: "application/json", md5Hash: md5Of(text) },
        preconditionOpts: { ifGenerationMatch: generation },
      }),
    )
  } catch (error) {
    // What is there already may be protected before its generation is compared.
    const isThere = generation === "0" && hasCode(error, 403) && (await readMetadata(bucket, path, options))
    if (isThere) return false
    throw error
  }
}

async function write(
  bucket: Bucket,
  path: string,
  options: RetryOptions,
  send: () => Promise<unknown>,
): Promise<boolean> {
  return retryTransient(
    `write gs://${bucket.name}/${path}`,
    async () => {
      try {
        await send()
        return true
      } catch (error) {
        if (hasCode(error, 412)) return false
        throw error
      }
    },
    { deadlineMs: DEADLINE_MS, ...options },
  )
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code
}

// "The specified bucket does not exist." is no answer about a document.
function isBucketMissing(error: unknown): boolean {
  return error instanceof Error && /bucket does not exist/i.test(error.message)
}
