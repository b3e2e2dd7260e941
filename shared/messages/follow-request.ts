import { setTimeout as wait } from "node:timers/promises"
import type { Bucket } from "@google-cloud/storage"
import { type Verdict, VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { parseDocument, parseJson } from "../../schemas/json.ts"
import { type RunVerdict, RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import type { Database } from "../database/open-database.ts"
import { rejectionPath } from "../documents/document-paths.ts"
import { readDocument } from "../documents/documents.ts"
import { findRun } from "../ledger/runs/find-runs.ts"
import { findDispatchOfRerun, findRunOfRequest, type RequestedDispatch } from "../ledger/runs/requests.ts"
import { followRun, type RunProgress } from "../ledger/runs/run-progress.ts"
import { type RetryOptions, retryTransient } from "../retry.ts"
import { topics } from "./topics.ts"

/** A request that was published. */
export interface SentRequest {
  topic:
    | typeof topics.runRequests
    | typeof topics.rerunRequests
    | typeof topics.cancelRequests
    | typeof topics.pauseRequests
    | typeof topics.releaseRequests
  messageId: string
  /** The dates that it may be about: one, or what "yesterday" may mean. */
  dates: string[]
}

export type RequestOutcome =
  | { kind: "decided"; verdict: Verdict }
  | { kind: "rejected"; runId: string | undefined; reason: string }

export interface FollowRequestOptions extends RetryOptions {
  onRun?: (run: RequestedDispatch) => void
  onProgress?: (progress: RunProgress) => void
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
}

const POLL_MS = 250
// Each look for a rejection is a call to Cloud Storage, and costs.
const POLLS_PER_REJECTION_LOOK = 4

/** Follows a request until it is rejected, or the run that came of it has its verdict. Throws when the signal aborts. */
export async function followRequest(
  sources: { db: Database; bucket: Bucket },
  request: SentRequest,
  options: FollowRequestOptions,
): Promise<RequestOutcome> {
  const { db } = sources
  for (;;) {
    const opened = await awaitDispatch(sources, request, options)
    if ("kind" in opened) return opened
    options.onRun?.(opened)
    for await (const progress of followRun(db, opened.runId, { ...options, dispatch: opened.dispatch })) {
      options.onProgress?.(progress)
    }
    const run = await retryTransient(`read run ${opened.runId}`, () => findRun(db, opened.runId), options)
    if (run?.verdict) return { kind: "decided", verdict: parseDocument(VerdictSchema, run.verdict) }
    // The planner took the run back, or somebody reran it this very moment: look again at what is there.
    await pause(options)
  }
}

/** Waits for the planner's answer. */
async function awaitDispatch(
  { db, bucket }: { db: Database; bucket: Bucket },
  request: SentRequest,
  options: FollowRequestOptions,
): Promise<RequestedDispatch | RequestOutcome> {
  const find = request.topic === topics.runRequests ? findRunOfRequest : findDispatchOfRerun
  const what = `find what came of message ${request.messageId}`
  for (let polls = 0; ; polls++) {
    const opened = await retryTransient(what, () => find(db, request.messageId, request.dates), options)
    if (opened) return opened
    if (polls % POLLS_PER_REJECTION_LOOK === 0) {
      const rejection = await readDocument(bucket, rejectionPath(request.topic, request.messageId), options)
      if (rejection !== undefined) return rejected(parseJson(RunVerdictSchema, rejection))
    }
    await pause(options)
  }
}

function rejected({ runId, reason }: RunVerdict): RequestOutcome {
  return { kind: "rejected", runId, reason: reason ?? "no reason was given" }
}

async function pause({ sleep = sleepFor, signal }: FollowRequestOptions): Promise<void> {
  signal?.throwIfAborted()
  await sleep(POLL_MS, signal)
}

async function sleepFor(ms: number, signal?: AbortSignal): Promise<void> {
  await wait(ms, undefined, signal ? { signal } : {})
}
