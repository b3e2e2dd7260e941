import type { Topic } from "@google-cloud/pubsub"
import type { Bucket } from "@google-cloud/storage"
import { formatJson, MalformedError, parseJson } from "../../schemas/json.ts"
import { RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import { rejectionPath } from "../documents/document-paths.ts"
import { createDocument, readDocument } from "../documents/documents.ts"
import { PermanentError } from "../errors.ts"
import type { Log } from "../telemetry/log.ts"
import type { PushMessage } from "./push-server.ts"
import { sendVerdict } from "./send-verdict.ts"

export interface RejectionContext {
  bucket: Bucket
  verdicts: Topic
  log: Log
}

export interface Rejection {
  reason: string
  runId?: string | undefined
  date?: string | undefined
}

/**
 * Answers a request that can never succeed: keeps the rejection in the bucket, once, and sends it as a verdict. The
 * same message again gets the same answer, even if by then it could have been granted.
 */
export async function rejectRequest(
  context: RejectionContext,
  topic: string,
  message: PushMessage,
  rejection: Rejection,
): Promise<void> {
  const text = formatJson(
    RunVerdictSchema,
    {
      verdict: "rejected",
      requestId: message.id,
      decidedAt: new Date().toISOString(),
      reason: rejection.reason,
      ...(rejection.runId === undefined ? {} : { runId: rejection.runId }),
      ...(rejection.date === undefined ? {} : { date: rejection.date }),
    },
    2,
  )
  const kept = await createDocument(context.bucket, rejectionPath(topic, message.id), text, context)
  const verdict = parseJson(RunVerdictSchema, kept)
  await sendVerdict(context.verdicts, verdict)
  context.log.warn({ topic, messageId: message.id, ...rejection, reason: verdict.reason }, "a request is rejected")
}

/** Throws, as a PermanentError, the rejection that this message was already given, if any. */
export async function refuseAgain(context: RejectionContext, topic: string, message: PushMessage): Promise<void> {
  const text = await readDocument(context.bucket, rejectionPath(topic, message.id), context)
  if (text !== undefined) throw new PermanentError(parseJson(RunVerdictSchema, text).reason ?? "rejected before")
}

/** Rejects a request that can never succeed, and throws again whatever else has kept it from that. */
export async function rejectOrThrow(
  context: RejectionContext,
  topic: string,
  message: PushMessage,
  error: unknown,
  about: Omit<Rejection, "reason"> = {},
): Promise<void> {
  if (!isPermanent(error)) throw error
  await rejectRequest(context, topic, message, { reason: error.message, ...about })
}

/** Whether a request can never succeed: it makes no sense, or what it asks for cannot be. */
export function isPermanent(error: unknown): error is PermanentError | MalformedError {
  return error instanceof PermanentError || error instanceof MalformedError
}
