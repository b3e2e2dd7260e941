import type { PushMessage } from "../../shared/messages/push-server.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import { composeNotification, readChange } from "../../shared/webhook/compose-notification.ts"
import { DeliveryError } from "../../shared/webhook/post-once.ts"
import type { Receiver } from "../../shared/webhook/receiver-settings.ts"
import { sendNotification } from "../../shared/webhook/send-notification.ts"

export interface NotifyContext {
  log: Log
  receiver: Receiver
  /** Those that are notified; a message may have one that only a newer version knows. */
  states: ReadonlySet<string>
  project: string
  /** Decimals of the shop's amounts. */
  scale: number
}

/**
 * Takes a message of day-changes to its receiver. Returns if that has it, or has refused it for good; throws if it is to be
 * sent again. So it is sent at least once, and nothing is kept here.
 */
export async function takeDayChange(context: NotifyContext, message: PushMessage): Promise<void> {
  const { log, receiver, states, project, scale } = context
  const read = readChange(message.data)
  const { date, state, changeId } = read.change
  if (!states.has(state)) return
  const notification = composeNotification(read, { ...receiver, project, scale })
  const { outcome, status, text, ms } = await sendNotification(receiver, notification)
  const fields = { date, state, changeId, webhookId: notification.id, status, ms: Math.round(ms) }
  switch (outcome) {
    case "delivered":
      log.info(fields, "a notification is delivered")
      return
    case "refused":
      log.error({ ...fields, answer: text }, "a notification is refused for good and not sent again")
      return
    case "failed":
      throw new DeliveryError(
        `${receiver.url.origin} answered ${status} to the notification ${notification.id}: ${text}`,
      )
  }
}
