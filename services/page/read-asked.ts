import type { Bucket } from "@google-cloud/storage"
import { rejectionPath } from "../../shared/documents/document-paths.ts"
import { readDocument } from "../../shared/documents/documents.ts"
import { describeError } from "../../shared/errors.ts"
import { topics } from "../../shared/messages/topics.ts"
import type { Log } from "../../shared/telemetry/log.ts"

/** What is known of a request that was sent from this page. */
export interface Asked {
  messageId: string
  /** Why it was not taken; undefined: it was, or it is on its way. */
  rejection: string | undefined
  /** It was sent a moment ago, and a person waits for what becomes of it. */
  isAwaited: boolean
}

interface Known {
  firstLookAt: number
  nextLookAt: number
  rejection: string | undefined
}

export interface AskedOptions {
  bucket: Bucket
  log: Log
  now: () => Date
}

// Most rejections come within a second, all others within the planner's six deliveries. Each look is a call to Cloud Storage,
// and costs: each pause is twice as long as the one before, and a page that is left open for a day looks twenty times.
const PAUSE_MS_MIN = 1_000
const PAUSE_MS_MAX = 60_000
const LOOKS_END_MS = 15 * 60_000

const AWAITED_MS = 60_000

// Far more than a few people send; the oldest is looked up anew.
const REQUESTS_MAX = 1_000

/**
 * Makes the function that finds whether a request was rejected, by topic and message id. How often it looks into the bucket
 * has nothing to do with how often it is called.
 */
export function createAskedReader(options: AskedOptions) {
  const known = new Map<string, Known>()
  return async (messageId: string | undefined, topicName: string | undefined): Promise<Asked | undefined> => {
    if (messageId === undefined || !/^[\w-]{1,64}$/.test(messageId)) return undefined
    const topic = Object.values<string>(topics).find((name) => name === topicName)
    if (topic === undefined) return undefined
    const path = rejectionPath(topic, messageId)
    const nowMs = options.now().getTime()
    const request = known.get(path) ?? { firstLookAt: nowMs, nextLookAt: nowMs, rejection: undefined }
    known.set(path, request)
    const [oldest] = known.keys()
    if (known.size > REQUESTS_MAX && oldest !== undefined) known.delete(oldest)
    const ageMs = nowMs - request.firstLookAt
    if (request.rejection === undefined && nowMs >= request.nextLookAt && ageMs < LOOKS_END_MS) {
      // Before the look: whoever comes meanwhile does not look, too.
      request.nextLookAt = nowMs + Math.min(Math.max(ageMs, PAUSE_MS_MIN), PAUSE_MS_MAX)
      request.rejection = await readRejection(options, path)
    }
    const { rejection } = request
    return { messageId, rejection, isAwaited: rejection === undefined && ageMs < AWAITED_MS }
  }
}

async function readRejection({ bucket, log }: AskedOptions, path: string): Promise<string | undefined> {
  try {
    const text = await readDocument(bucket, path, { log, retriesMax: 0 })
    return text === undefined ? undefined : String((JSON.parse(text) as { reason?: unknown }).reason)
  } catch (error) {
    log.warn({ error: describeError(error) }, "whether a request was rejected cannot be read")
    return undefined
  }
}
