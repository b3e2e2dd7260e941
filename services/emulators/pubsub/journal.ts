import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs"
import type { protos } from "@google-cloud/pubsub"
import type { google } from "@google-cloud/run/build/protos/protos.js"

/*
 * The calls that have changed something since the state file was last written, a line each, written before their answer
 * leaves. So what was answered survives a SIGKILL: what a process has written the system keeps. A power cut is another
 * matter, and would need an fsync: measured on one machine, a line takes 10 µs without and 2 to 3 ms with one, of a publish
 * that takes 500 µs of CPU in all.
 *
 * Acknowledgements are not in it: one that is lost means a message that comes again, as it may with Google too.
 */

/** One call, as it is done again at the next start. */
export interface Line {
  /** Grows with each line; the state file says up to which it has them. */
  sequence: number
  method: string
  request: unknown
  /** The server's clock then. */
  at: number
  /** The last message id before the call. */
  lastMessageId: number
}

export interface Journal {
  append(line: Line): void
  /** The state file has all of them. */
  clear(): void
  close(): void
}

export function openJournal(path: string): Journal {
  const file = openSync(path, "a", 0o600)
  return {
    append: (line) => {
      writeSync(file, `${JSON.stringify(encode(line))}\n`)
    },
    clear: () => ftruncateSync(file, 0),
    close: () => closeSync(file),
  }
}

/** A last line that was not written to its end belongs to a call that was not answered. */
export function readJournal(path: string): Line[] {
  if (!existsSync(path)) return []
  const whole = readFileSync(path, "utf8").split("\n").slice(0, -1)
  return whole.map(decode)
}

/** A request without bytes: data as base64, and no etag, which has been checked. */
function encode({ method, request, ...line }: Line): object {
  if (method === "Publish") {
    const { topic, messages } = request as protos.google.pubsub.v1.IPublishRequest
    const texts = messages?.map(({ data, attributes, orderingKey }) => ({
      data: Buffer.from(data ?? "").toString("base64"),
      attributes,
      orderingKey,
    }))
    return { ...line, method, request: { topic, messages: texts } }
  }
  if (method !== "SetIamPolicy") return { ...line, method, request }
  const { resource, policy } = request as google.iam.v1.ISetIamPolicyRequest
  return { ...line, method, request: { resource, policy: { ...policy, etag: undefined } } }
}

function decode(text: string): Line {
  const line = JSON.parse(text) as Line
  if (line.method !== "Publish") return line
  const { topic, messages } = line.request as { topic: string; messages: { data: string }[] }
  const read = messages.map((message) => ({ ...message, data: Buffer.from(message.data, "base64") }))
  return { ...line, request: { topic, messages: read } }
}
