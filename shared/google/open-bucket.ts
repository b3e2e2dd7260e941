import EventEmitter from "node:events"
import { type Bucket, Storage } from "@google-cloud/storage"

export interface StorageSettings {
  BUCKET: string
  /** http://host:port of a local cloud. */
  STORAGE_EMULATOR_HOST?: string | undefined
}

// The client hangs eleven listeners on each download, of which Node would warn in every log:
// https://github.com/googleapis/google-cloud-node/issues/9185
const LISTENERS_MAX = 20

/**
 * The bucket of the documents. The client's own retries are off: on Node 24 a 503 during a download would end the
 * process, and `documents.ts` retries every call by itself.
 */
export function openBucket(settings: StorageSettings): Bucket {
  EventEmitter.defaultMaxListeners = Math.max(EventEmitter.defaultMaxListeners, LISTENERS_MAX)
  const endpoint = settings.STORAGE_EMULATOR_HOST
  const storage = new Storage({
    retryOptions: { autoRetry: false },
    ...(endpoint ? { apiEndpoint: withScheme(endpoint), projectId: "local" } : {}),
  })
  return storage.bucket(settings.BUCKET)
}

function withScheme(endpoint: string): string {
  return /^https?:\/\//.test(endpoint) ? endpoint : `http://${endpoint}`
}
