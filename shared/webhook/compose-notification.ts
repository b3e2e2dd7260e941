import { MalformedError, parseDocument } from "../../schemas/json.ts"
import { type DayChange, DayChangeSchema } from "../../schemas/messages/day_change_pb.ts"
import { topics } from "../messages/topics.ts"
import { describeChange } from "./describe-change.ts"
import type { Receiver } from "./receiver-settings.ts"

/** What is posted. */
export interface Notification {
  /** The same for the same change, however often it is sent: receivers know by it what they have. */
  id: string
  contentType: string
  body: string
}

/** A message of the topic day-changes, and what it says. */
export interface ReadChange {
  change: DayChange
  /** The message as it was sent, with fields that only a newer version knows. */
  json: unknown
}

export interface ComposeOptions extends Pick<Receiver, "format" | "pageUrl"> {
  project: string
  /** Decimals of the shop's amounts. */
  scale: number
  /** The id of a sample: it says that it is one. */
  sampleId?: string
}

/** Reads a message of the topic day-changes; throws a `MalformedError`. */
export function readChange(data: string): ReadChange {
  const change = parseDocument(DayChangeSchema, data)
  if (!/^\d{4}-\d{2}-\d{2}$/.test(change.date)) throw new MalformedError("DayChange.date: not of the form YYYY-MM-DD")
  if (!/^\d{1,20}$/.test(change.changeId)) throw new MalformedError("DayChange.changeId: not a number")
  if (Number.isNaN(Date.parse(change.changedAt)))
    throw new MalformedError("DayChange.changedAt: not a time of RFC 3339")
  return { change, json: JSON.parse(data) }
}

/** Composes what is posted: a CloudEvent, or a sentence for a chat. */
export function composeNotification(read: ReadChange, options: ComposeOptions): Notification {
  const { change } = read
  const id = options.sampleId ?? idOf(change)
  const link = options.pageUrl === undefined ? undefined : linkTo(options.pageUrl, change.date)
  if (options.format === "text") {
    const said = [
      ...(options.sampleId ? ["This is a test."] : []),
      describeChange(change, options.scale),
      ...(link ? [link] : []),
    ]
    return { id, contentType: "application/json", body: JSON.stringify({ text: said.join(" ") }) }
  }
  // https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
  const event = {
    specversion: "1.0",
    id,
    source: `//pubsub.googleapis.com/projects/${options.project}/topics/${topics.dayChanges}`,
    type: `daybook.day.${change.state}`,
    subject: change.date,
    time: change.changedAt,
    datacontenttype: "application/json",
    // https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/sequence.md: in the order of texts.
    sequence: change.changeId.padStart(SEQUENCE_DIGITS, "0"),
    ...(link === undefined ? {} : { pageurl: link }),
    ...(options.sampleId === undefined ? {} : { test: true }),
    data: read.json,
  }
  return { id, contentType: "application/cloudevents+json; charset=utf-8", body: JSON.stringify(event) }
}

// As many as an unsigned 64-bit integer has.
const SEQUENCE_DIGITS = 20

/** With its time: a ledger that went back in time, by a restore, gives the number again to another change. */
function idOf({ changeId, changedAt }: DayChange): string {
  return `${changeId}-${Date.parse(changedAt)}`
}

/** The day on the page. No more than one parameter: chat tools take an ampersand for something else. */
function linkTo(pageUrl: string, date: string): string {
  return new URL(`?day=${date}`, pageUrl.endsWith("/") ? pageUrl : `${pageUrl}/`).href
}
