import { Webhook } from "standardwebhooks"
import type { Notification } from "./compose-notification.ts"
import { type Answer, type PostOptions, postOnce } from "./post-once.ts"
import type { Receiver } from "./receiver-settings.ts"

/** What becomes of a notification by its answer: `failed` may be sent again, `refused` may not. */
export type Outcome = "delivered" | "refused" | "failed"

export interface SendOptions extends Partial<Pick<PostOptions, "resolve" | "msMax">> {
  now?: () => Date
}

/**
 * Posts a notification, signed by the Standard Webhooks scheme with each key
 * (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md). Throws a `DeliveryError`
 * if nothing is answered.
 */
export async function sendNotification(
  { url, keys, allowed }: Receiver,
  { id, contentType, body }: Notification,
  { now = () => new Date(), ...options }: SendOptions = {},
): Promise<Answer & { outcome: Outcome }> {
  // Of this try: receivers refuse what is older than five minutes.
  const sentAt = now()
  const headers = {
    "content-type": contentType,
    "user-agent": "daybook-notify",
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(sentAt.getTime() / 1000)),
    ...(keys.length === 0
      ? {}
      : { "webhook-signature": keys.map((key) => new Webhook(key).sign(id, sentAt, body)).join(" ") }),
  }
  const answer = await postOnce(url, headers, body, { allowed, ...options })
  return { ...answer, outcome: judgeStatus(answer.status) }
}

// Of the client's errors, those that pass: https://www.rfc-editor.org/rfc/rfc9110#name-client-error-4xx
const passing = new Set([408, 425, 429])

function judgeStatus(status: number): Outcome {
  if (status >= 200 && status < 300) return "delivered"
  return status >= 400 && status < 500 && !passing.has(status) ? "refused" : "failed"
}
