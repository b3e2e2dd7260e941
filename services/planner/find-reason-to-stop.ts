import { describeError } from "../../shared/errors.ts"
import type { PushMessage } from "../../shared/messages/push-server.ts"
import { isPermanent } from "../../shared/messages/reject-request.ts"
import { isLasting } from "../../shared/transient.ts"

// What a server refuses may be put right by somebody at once, and a deployment may be half done: by the pauses of the
// subscriptions on Google Cloud (topology.ts) the sixth delivery comes after about five minutes.
const LASTING_ATTEMPTS_MAX = 6
// Where deliveries are not counted.
const LASTING_MS_MAX = 5 * 60_000

/**
 * Why a request is not tried again: it cannot be carried out, or what keeps it from that has not passed for too long.
 * Undefined: the message is left to be delivered again.
 */
export function findReasonToStop(error: unknown, message: PushMessage, now: Date): string | undefined {
  if (isPermanent(error)) return error.message
  const { deliveryAttempt, publishedAt } = message
  const isLong =
    deliveryAttempt === undefined
      ? now.getTime() - publishedAt.getTime() > LASTING_MS_MAX
      : deliveryAttempt >= LASTING_ATTEMPTS_MAX
  if (!isLasting(error) || !isLong) return undefined
  return `tried again and again since ${publishedAt.toISOString()}: ${describeError(error)}`
}
