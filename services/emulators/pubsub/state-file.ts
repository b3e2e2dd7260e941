import type { Policy } from "../iam-policies.ts"
import { readState, replaceFile } from "../json-files.ts"
import { type Line, openJournal, readJournal } from "./journal.ts"
import { countBytes, type PublishedMessage } from "./messages.ts"
import { createRevision } from "./schema-store.ts"
import type { Snapshot, Store, Subscription, Topic } from "./store.ts"
import { openSubscription } from "./subscriptions.ts"

/*
 * What the server knows, in a file, so that it is there again after a restart: written a moment after something has
 * changed, and at the end. What was done since stands in a journal beside it, and is done again at the start.
 */

const SAVE_AFTER_MS = 100
// A big backlog must not keep the server busy with nothing else.
const SHARE_MAX = 10

interface SavedMessage {
  messageId: string
  /** Base64. */
  data: string
  attributes: Record<string, string>
  orderingKey: string
  publishedAt: number
}

/** Messages are saved once, and named by their ids wherever they are. */
interface Saved {
  lastMessageId: number
  /** Up to which line of the journal this is what has come of it. */
  sequence?: number
  policies?: [string, Policy][]
  messages: SavedMessage[]
  topics: { resource: Topic["resource"]; retained: string[] }[]
  schemas: { name: string; revisions: { id: string; type: string; definition: string; createdAt: number }[] }[]
  subscriptions: { resource: Subscription["resource"]; unacknowledged: string[]; acknowledged: string[] }[]
  snapshots: { resource: Snapshot["resource"]; messages: string[] }[]
}

export interface StateFile {
  /** Something has changed that a restart should find. */
  touch(): void
  /** Keeps a call that was done, at once. */
  record(method: string, request: unknown, lastMessageId: number): void
  /** Writes all of it, at once. */
  save(): void
  /** Writes it for the last time. */
  close(): void
}

/** Keeps a file, and its journal, up to date. */
export function openStateFile(store: Store, path: string, lastSequence: number): StateFile {
  const journal = openJournal(journalOf(path))
  let sequence = lastSequence
  let pending: NodeJS.Timeout | undefined
  let lastMs = 0
  const save = () => {
    pending = undefined
    const startedAt = performance.now()
    try {
      replaceFile(path, JSON.stringify({ ...describe(store), sequence }))
      journal.clear()
    } catch (error) {
      store.log("the state cannot be written", { path, error: String(error) })
    }
    lastMs = performance.now() - startedAt
  }
  return {
    touch: () => {
      pending ??= setTimeout(save, Math.max(SAVE_AFTER_MS, lastMs * SHARE_MAX))
    },
    record: (method, request, lastMessageId) => {
      journal.append({ sequence: ++sequence, method, request, at: store.clock.now(), lastMessageId })
    },
    save: () => {
      clearTimeout(pending)
      save()
    },
    close: () => {
      clearTimeout(pending)
      save()
      journal.close()
    },
  }
}

const journalOf = (path: string) => `${path}.journal`

/**
 * Puts into an empty store what a file and its journal hold. `repeat` does a call again. Returns the sequence number of the
 * last one.
 */
export function restoreState(store: Store, path: string, repeat: (line: Line) => void): number {
  const saved = readState<Saved>(path, "a local Pub/Sub")
  if (saved) restore(store, saved)
  let last = saved?.sequence ?? 0
  for (const line of readJournal(journalOf(path))) {
    // A server that died between the file and the journal has these twice.
    if (line.sequence <= last) continue
    last = line.sequence
    try {
      repeat(line)
    } catch (error) {
      store.log("a call of the journal cannot be done again", { method: line.method, error: String(error) })
    }
  }
  return last
}

function restore(store: Store, saved: Saved): void {
  store.lastMessageId = Math.max(store.lastMessageId, saved.lastMessageId)
  const byId = new Map(saved.messages.map((message) => [message.messageId, toMessage(message)]))
  const find = (ids: string[]) => ids.flatMap((id) => byId.get(id) ?? [])
  for (const { name, revisions } of saved.schemas) {
    const read = revisions.map((one) => ({ ...createRevision(one, one.createdAt), id: one.id }))
    store.schemas.set(name, { name, revisions: read })
  }
  for (const { resource, retained } of saved.topics) {
    store.topics.set(resource.name, { resource, subscriptions: new Set(), published: [], retained: find(retained) })
  }
  for (const { resource, unacknowledged, acknowledged } of saved.subscriptions) {
    const subscription = openSubscription(store, resource, store.topics.get(resource.topic))
    subscription.acknowledged = find(acknowledged)
    subscription.backlog.announce(find(unacknowledged))()
  }
  for (const { resource, messages } of saved.snapshots)
    store.snapshots.set(resource.name, { resource, messages: find(messages) })
  for (const [name, policy] of saved.policies ?? []) store.policies.set(name, policy)
}

function describe({ topics, subscriptions, schemas, snapshots, policies, lastMessageId }: Store): Saved {
  const messages = new Map<string, PublishedMessage>()
  const keep = (some: PublishedMessage[]) =>
    some.map((message) => {
      messages.set(message.messageId, message)
      return message.messageId
    })
  const saved = {
    topics: [...topics.values()].map(({ resource, retained }) => ({ resource, retained: keep(retained) })),
    schemas: [...schemas.values()].map(({ name, revisions }) => ({
      name,
      revisions: revisions.map(({ id, type, definition, createdAt }) => ({ id, type, definition, createdAt })),
    })),
    subscriptions: [...subscriptions.values()].map(({ resource, backlog, acknowledged }) => ({
      resource,
      unacknowledged: keep(backlog.unacknowledged()),
      acknowledged: keep(acknowledged),
    })),
    snapshots: [...snapshots.values()].map((snapshot) => ({
      resource: snapshot.resource,
      messages: keep(snapshot.messages),
    })),
  }
  const all = [...messages.values()].map(({ messageId, data, attributes, orderingKey, publishedAt }) => ({
    messageId,
    data: data.toString("base64"),
    attributes,
    orderingKey,
    publishedAt,
  }))
  return { lastMessageId, policies: [...policies], messages: all, ...saved }
}

function toMessage({ data, ...message }: SavedMessage): PublishedMessage {
  const bytes = Buffer.from(data, "base64")
  return { ...message, data: bytes, bytes: countBytes(bytes, message.attributes, message.orderingKey) }
}
