import { readState, replaceFile } from "../json-files.ts"
import { countBytes, type PublishedMessage } from "./messages.ts"
import { createRevision } from "./schema-store.ts"
import type { Snapshot, Store, Subscription, Topic } from "./store.ts"
import { openSubscription } from "./subscriptions.ts"

/*
 * What the server knows, in a file, so that it is there again after a restart: written a moment after something has
 * changed, and at the end. A server that is killed loses the last tenth of a second; what was acknowledged in it comes
 * again, as Pub/Sub may deliver anything twice.
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
  messages: SavedMessage[]
  topics: { resource: Topic["resource"]; retained: string[] }[]
  schemas: { name: string; revisions: { id: string; type: string; definition: string; createdAt: number }[] }[]
  subscriptions: { resource: Subscription["resource"]; unacknowledged: string[]; acknowledged: string[] }[]
  snapshots: { resource: Snapshot["resource"]; messages: string[] }[]
}

/** Keeps a file up to date. `touch` says that something has changed, `close` writes it for the last time. */
export function openStateFile(store: Store, path: string): { touch: () => void; close: () => void } {
  let pending: NodeJS.Timeout | undefined
  let lastMs = 0
  const save = () => {
    pending = undefined
    const startedAt = performance.now()
    try {
      replaceFile(path, JSON.stringify(describe(store)))
    } catch (error) {
      store.log("the state cannot be written", { path, error: String(error) })
    }
    lastMs = performance.now() - startedAt
  }
  return {
    touch: () => {
      pending ??= setTimeout(save, Math.max(SAVE_AFTER_MS, lastMs * SHARE_MAX))
    },
    close: () => {
      clearTimeout(pending)
      save()
    },
  }
}

/** Puts into an empty store what a file holds, if there is one. */
export function restoreState(store: Store, path: string): void {
  const saved = readState<Saved>(path, "a local Pub/Sub")
  if (!saved) return
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
}

function describe({ topics, subscriptions, schemas, snapshots, lastMessageId }: Store): Saved {
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
  return { lastMessageId, messages: all, ...saved }
}

function toMessage({ data, ...message }: SavedMessage): PublishedMessage {
  const bytes = Buffer.from(data, "base64")
  return { ...message, data: bytes, bytes: countBytes(bytes, message.attributes, message.orderingKey) }
}
