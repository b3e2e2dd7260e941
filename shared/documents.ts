import type { Bucket } from "@google-cloud/storage"
import { type RetryOptions, retryTransient } from "./retry.ts"

/** A document as it is in the bucket. */
export interface StoredDocument {
  text: string
  generation: string
}

// Each loss of the race means that somebody else replaced the document in between.
const REPLACE_TRIES_MAX = 10

/** Reads a document; undefined if there is none. */
export async function readDocument(
  bucket: Bucket,
  path: string,
  options: RetryOptions,
): Promise<StoredDocument | undefined> {
  return retryTransient(
    `read gs://${bucket.name}/${path}`,
    async () => {
      try {
        const file = bucket.file(path)
        const [metadata] = await file.getMetadata()
        const generation = String(metadata.generation)
        // The generation pins the content to the metadata: somebody may replace the document in between.
        const [content] = await bucket.file(path, { generation }).download()
        return { text: content.toString("utf8"), generation }
      } catch (error) {
        if (hasCode(error, 404) && !isBucketMissing(error)) return undefined
        throw error
      }
    },
    options,
  )
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
  return existing.text
}

/**
 * Writes a document over an older one. `supersedes` says, of the text that is there, whether the new one may replace
 * it. Returns false if it may not; writing the same text again is no change and true.
 */
export async function replaceDocument(
  bucket: Bucket,
  path: string,
  text: string,
  supersedes: (existing: string) => boolean,
  options: RetryOptions,
): Promise<boolean> {
  let generation = "0"
  for (let attempt = 0; attempt < REPLACE_TRIES_MAX; attempt++) {
    if (await save(bucket, path, text, generation, options)) return true
    const existing = await readDocument(bucket, path, options)
    if (existing?.text === text) return true
    if (existing && !supersedes(existing.text)) return false
    generation = existing?.generation ?? "0"
  }
  throw new Error(`gs://${bucket.name}/${path} was replaced by others ${REPLACE_TRIES_MAX} times in a row`)
}

/** The names of all documents below a folder. */
export async function listDocuments(bucket: Bucket, folder: string, options: RetryOptions): Promise<string[]> {
  return retryTransient(
    `list gs://${bucket.name}/${folder}`,
    async () => {
      const [files] = await bucket.getFiles({ prefix: folder })
      return files.map((file) => file.name)
    },
    options,
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
  return retryTransient(
    `write gs://${bucket.name}/${path}`,
    async () => {
      try {
        await bucket.file(path).save(text, {
          resumable: false,
          contentType: "application/json",
          preconditionOpts: { ifGenerationMatch: generation },
        })
        return true
      } catch (error) {
        if (hasCode(error, 412)) return false
        throw error
      }
    },
    options,
  )
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === code
}

// "The specified bucket does not exist." is no answer about a document.
function isBucketMissing(error: unknown): boolean {
  return error instanceof Error && /bucket does not exist/i.test(error.message)
}
