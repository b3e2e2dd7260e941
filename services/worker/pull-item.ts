import type { v1 } from "@google-cloud/pubsub"
import { MalformedError, parseJson } from "../../schemas/json.ts"
import { WorkItemSchema } from "../../schemas/messages/work_item_pb.ts"
import { describeError } from "../../shared/errors.ts"
import { hasStatus } from "../../shared/google/grpc-status.ts"
import { runSubscription } from "../../shared/messages/run-subscription.ts"
import { retryTransient } from "../../shared/retry.ts"
import type { Log } from "../../shared/telemetry/log.ts"
import type { GoogleClients } from "./google-clients.ts"

export interface PulledItem {
  index: number
  dispatch: number
  ackId: string
}

export interface ItemSource {
  /** Loads what pulling needs, before it is needed. */
  open: () => void
  /** At most so many items as there are now; none if none came in time. */
  pull: (itemsMax: number) => Promise<PulledItem[]>
  /** Does not fail: an item that is not acknowledged comes again, and whoever gets it finds its shard claimed. */
  acknowledge: (items: PulledItem[]) => Promise<void>
}

// How long a task waits for an item that the ledger says is offered, before it claims it without one.
const PULL_TIMEOUT_MS = 1_000

/** Pulls work items of one run: the plain pull, whose `maxMessages` is exact. */
export function openItemSource(google: () => Promise<GoogleClients>, runId: string, log: Log): ItemSource {
  const openClient = async () => {
    const { subscriber, projectId } = await google()
    return { subscriber, subscription: `projects/${projectId}/subscriptions/${runSubscription(runId)}` }
  }
  // A subscription that refuses does so each time.
  const warned = new Set<string>()
  const warnOnce = (subscription: string, error: string) => {
    if (warned.has(error)) return
    warned.add(error)
    log.warn(
      { subscription, error },
      "the run's subscription cannot be pulled, and shards are claimed by the ledger alone",
    )
  }
  const acknowledge = async (items: Pick<PulledItem, "ackId">[]) => {
    if (items.length === 0) return
    const ackIds = items.map(({ ackId }) => ackId)
    const acknowledgeAll = async () => {
      const { subscriber, subscription } = await openClient()
      await subscriber.acknowledge({ subscription, ackIds })
    }
    await retryTransient(`acknowledge work items of run ${runId}`, acknowledgeAll, { log }).catch((error) =>
      log.warn({ runId, error: describeError(error) }, "work items cannot be acknowledged"),
    )
  }
  const pull = async (itemsMax: number): Promise<PulledItem[]> => {
    const items: PulledItem[] = []
    const { subscriber, subscription } = await openClient()
    for (const { ackId, message } of await pullMessages(subscriber, subscription, itemsMax, warnOnce)) {
      const text = Buffer.from((message?.data as Uint8Array | undefined) ?? []).toString("utf8")
      try {
        const { index, dispatch } = parseJson(WorkItemSchema, text)
        items.push({ index, dispatch, ackId: ackId ?? "" })
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error
        // Somebody else publishes to the topic. The shard it may have meant is offered by the ledger too.
        log.error({ messageId: message?.messageId, error: error.message }, "a work item is malformed and dropped")
        await acknowledge([{ ackId: ackId ?? "" }])
      }
    }
    return items
  }
  // What fails is found where it is needed.
  const open = () => void google().catch(() => undefined)
  return { open, pull, acknowledge }
}

type Warn = (subscription: string, error: string) => void

async function pullMessages(client: v1.SubscriberClient, subscription: string, maxMessages: number, warn: Warn) {
  try {
    const [response] = await client.pull({ subscription, maxMessages }, { timeout: PULL_TIMEOUT_MS, retry: null })
    return response.receivedMessages ?? []
  } catch (error) {
    // The ledger is the truth of what is offered; without Pub/Sub a task claims from there.
    if (!hasStatus(error, "deadlineExceeded") && !hasStatus(error, "notFound")) {
      warn(subscription, describeError(error))
    }
    return []
  }
}
