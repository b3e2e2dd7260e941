import type { Bucket } from "@google-cloud/storage"
import pMap from "p-map"
import { listDocuments, readDocument, rewriteDocument } from "../../shared/documents/documents.ts"
import { describeError } from "../../shared/errors.ts"
import type { RetryOptions } from "../../shared/retry.ts"
import type { NextBound } from "./forget-in-ledger.ts"
import { type Forgotten, scrubDocument } from "./scrub-text.ts"

export interface DocumentsPlace {
  bucket: Bucket
  options: RetryOptions
  /** Nothing is written. */
  dryRun: boolean
}

const DOCUMENTS_AT_ONCE = 16

// Of users these have nothing but where ranges end: there is one for each shard.
const NAMES_BOUNDS_ALONE = /\/(plan|dispatch-\d+)\.json$|\/shards\/[^/]+$/

/** The run that a document is of. */
export const runOf = (path: string) => path.split("/")[2] ?? ""

/**
 * Takes a user out of a date's documents: returns the paths of those that were about the user, and of those that the bucket
 * kept as they were.
 */
export async function forgetInDocuments(
  { bucket, options, dryRun }: DocumentsPlace,
  date: string,
  who: Forgotten,
  bounds: ReadonlyMap<string, NextBound>,
): Promise<{ documents: string[]; kept: { path: string; reason: string }[] }> {
  const folders = [`runs/${date}/`, `audits/${date}/`]
  const listed = (await pMap(folders, (folder) => listDocuments(bucket, folder, options))).flat()
  const documents: string[] = []
  const kept: { path: string; reason: string }[] = []
  const forget = async (path: string) => {
    const runId = runOf(path)
    if (NAMES_BOUNDS_ALONE.test(path) && !bounds.has(runId)) return
    const rewrite = (text: string) => scrubDocument(path, text, { ...who, nextKey: bounds.get(runId)?.nextKey })
    try {
      const text = await readDocument(bucket, path, options)
      if (text === undefined || rewrite(text) === text) return
      if (!dryRun) await rewriteDocument(bucket, path, rewrite, options)
      documents.push(path)
    } catch (error) {
      options.signal?.throwIfAborted()
      kept.push({ path, reason: describeError(error) })
    }
  }
  await pMap(listed, ({ path }) => forget(path), { concurrency: DOCUMENTS_AT_ONCE })
  return { documents, kept }
}
