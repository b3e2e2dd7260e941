import { randomUUID } from "node:crypto"
import { formatJson } from "../../schemas/json.ts"
import { DayChangeSchema } from "../../schemas/messages/day_change_pb.ts"
import { readConfig } from "../../shared/config/read-config.ts"
import { googleSettings } from "../../shared/config/settings.ts"
import { shopSettings } from "../../shared/config/shop-settings.ts"
import { formatDuration } from "../../shared/terminal/render-numbers.ts"
import { composeNotification, readChange } from "../../shared/webhook/compose-notification.ts"
import type { DayState } from "../../shared/webhook/describe-change.ts"
import { DeliveryError } from "../../shared/webhook/post-once.ts"
import { openReceiver, receiverSettings } from "../../shared/webhook/receiver-settings.ts"
import { type Outcome, sendNotification } from "../../shared/webhook/send-notification.ts"
import { CommandError } from "./explain-error.ts"
import { exitCodes, printResult, type Terminal } from "./terminal.ts"

const DAY_MS = 24 * 3600 * 1000

/** Sends a sample to the receiver, and prints how it answered. Returns the exit code. */
export async function sendSample(state: DayState, json: boolean, terminal: Terminal): Promise<number> {
  // Here and not in config.ts, which all commands load: it takes the client of HTTP along.
  const config = readConfig({ ...shopSettings, ...googleSettings, ...receiverSettings(terminal.env) }, terminal.env)
  const receiver = openReceiver(config)
  const sampleId = `test-${randomUUID()}`
  const project = config.GOOGLE_CLOUD_PROJECT
  const sample = readChange(composeSample(state, new Date()))
  const notification = composeNotification(sample, { ...receiver, project, scale: config.SHOP_FILE.scale, sampleId })
  // Of the URL no more than the origin: the rest may be a password.
  const { origin } = receiver.url
  const { status, text, ms, outcome } = await sendNotification(receiver, notification).catch((error: unknown) => {
    throw error instanceof DeliveryError ? new CommandError(`Error: ${error.message}`) : error
  })
  printResult(terminal, json, { id: sampleId, receiver: origin, status, outcome, ms: Math.round(ms), answer: text }, [
    `Sent a sample of "${state}" to ${origin} as ${sampleId}, ${describeKeys(receiver.keys.length)}.`,
    `It answered ${status} after ${formatDuration(ms)}${text === "" ? "" : `: ${text}`}`,
    ...notes[outcome],
  ])
  return outcome === "delivered" ? exitCodes.ok : exitCodes.failed
}

const notes: Record<Outcome, string[]> = {
  delivered: [],
  refused: ["A notification with this answer is not sent again: correct NOTIFY_URL, or the receiver."],
  failed: ["A notification with this answer is sent again later, and is a dead letter after ten times."],
}

function describeKeys(count: number): string {
  if (count === 0) return "not signed"
  return `signed with ${count === 1 ? "one key" : `${count} keys`}`
}

/** A message as the finalizer sends it, of a day that there may not be. */
function composeSample(state: DayState, now: Date): string {
  const before = { users: 74_936n, purchases: 242_514n, amountCents: "1571766066" }
  const after = { users: 74_938n, purchases: 242_517n, amountCents: "1571773566" }
  const has = (...states: DayState[]) => states.includes(state)
  return formatJson(DayChangeSchema, {
    changeId: "0",
    date: new Date(now.getTime() - DAY_MS).toISOString().slice(0, 10),
    state,
    changedAt: now.toISOString(),
    version: has("late") ? 0 : 2,
    runId: "",
    ...(has("held", "incomplete", "shown-anew", "repaired") ? { previousVersion: 1 } : {}),
    ...(has("late", "shown", "arrived") ? {} : { before }),
    ...(has("late", "incomplete") ? {} : { after }),
    note: "a sample, sent by daybook notify --test",
  })
}
