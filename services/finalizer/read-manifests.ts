import type { Bucket } from "@google-cloud/storage"
import pMap from "p-map"
import { type Manifest, ManifestSchema } from "../../schemas/documents/manifest_pb.ts"
import { MalformedError, parseJson } from "../../schemas/json.ts"
import { manifestFolder } from "../../shared/document-paths.ts"
import { listDocuments, readDocument } from "../../shared/documents.ts"
import type { RetryOptions } from "../../shared/retry.ts"

// Small documents: the time goes into round trips. More at once would not be answered faster.
const READS_AT_ONCE = 32

/** What is in the folder of a run's manifests. */
export interface Manifests {
  /** By the index in the document's name; a text that is no manifest is told as a string. */
  byIndex: Map<number, Manifest | string>
  /** Names that no shard of any run could have. */
  foreign: string[]
}

/** Reads every manifest of a run. */
export async function readManifests(bucket: Bucket, runId: string, options: RetryOptions): Promise<Manifests> {
  const names = await listDocuments(bucket, manifestFolder(runId), options)
  const manifests: Manifests = { byIndex: new Map(), foreign: [] }
  await pMap(
    names,
    async (name) => {
      const index = /\/(0|[1-9]\d{0,8})\.json$/.exec(name)?.[1]
      if (index === undefined) {
        manifests.foreign.push(name)
        return
      }
      const document = await readDocument(bucket, name, options)
      if (document) manifests.byIndex.set(Number(index), parseManifest(document.text))
    },
    { concurrency: READS_AT_ONCE },
  )
  return manifests
}

function parseManifest(text: string): Manifest | string {
  try {
    return parseJson(ManifestSchema, text)
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}
