import { rejectionPath } from "../../shared/documents/document-paths.ts"
import { readDocument } from "../../shared/documents/documents.ts"
import { openBucket, type StorageSettings } from "../../shared/google/open-bucket.ts"
import { createLog } from "../../shared/telemetry/log.ts"

// A person waits. But each look is a call to Cloud Storage, and costs.
const PAUSE_MS = 1_000

/**
 * Makes the function that reads the rejection of a message, if it was rejected by then. It has one client, and looks once in
 * a second, however often it is called.
 */
export function createRejectionReader(
  settings: StorageSettings,
  topic: string,
  messageId: string,
): () => Promise<string | undefined> {
  const bucket = openBucket(settings)
  let nextLookMs = 0
  return async () => {
    if (performance.now() < nextLookMs) return undefined
    // Retries are not for the person at the terminal: errors reach them as a sentence.
    const rejection = await readDocument(bucket, rejectionPath(topic, messageId), {
      log: await createLog("cli", "silent"),
    })
    nextLookMs = performance.now() + PAUSE_MS
    return rejection
  }
}
