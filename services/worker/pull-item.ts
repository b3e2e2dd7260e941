import type { PubSub } from "@google-cloud/pubsub"
import { v1 } from "@google-cloud/pubsub"
import { MalformedError, parseJson } from "../../schemas/json.ts"
import { WorkItemSchema } from "../../schemas/messages/work_item_pb.ts"
import { describeError } from "../../shared/errors.ts"
import type { Log } from "../../shared/log.ts"
import { retryTransient } from "../../shared/retry.ts"
import { runSubscription } from "../../shared/topics.ts"

type ClientOptions = NonNullable<ConstructorParameters<typeof v1.SubscriberClient>[0]>

export interface PulledItem {
  index: number
  dispatch: number
  acknowledge(): Promise<void>
}

export interface ItemSource {
  /** One item, or undefined if none came in time. */
  pull: () => Promise<PulledItem | undefined>
  close: () => Promise<void>
}

// How long a task waits for an item that the ledger says is offered, before it claims it without one.
const PULL_TIMEOUT_MS = 1_000

const DEADLINE_EXCEEDED = 4
const NOT_FOUND = 5

/**
 * Pulls work items of one run, one at a time: the plain pull, whose `maxMessages` is exact. The client is made for the
 * first of them: its protocol descriptions take 0.1 s to load, and the shard at the task's own index needs none.
 */
export function openItemSource(pubsub: PubSub, runId: string, log: Log): ItemSource {
  const subscription = `projects/${pubsub.projectId}/subscriptions/${runSubscription(runId)}`
  let opening: Promise<v1.SubscriberClient> | undefined
  const openClient = () =>
    (opening ??= pubsub.getClientConfig().then((config) => new v1.SubscriberClient(config as ClientOptions)))

  const acknowledge = async (ackId: string) => {
    await retryTransient(
      `acknowledge a work item of run ${runId}`,
      async () => (await openClient()).acknowledge({ subscription, ackIds: [ackId] }),
      { log },
    )
  }
  const pull = async (): Promise<PulledItem | undefined> => {
    const received = await pullMessage(await openClient(), subscription, log)
    if (!received) return undefined
    const text = Buffer.from((received.message?.data as Uint8Array | undefined) ?? []).toString("utf8")
    try {
      const { index, dispatch } = parseJson(WorkItemSchema, text)
      return { index, dispatch, acknowledge: () => acknowledge(received.ackId ?? "") }
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error
      // Somebody else publishes to the topic. The shard it may have meant is offered by the ledger too.
      log.error(
        { messageId: received.message?.messageId, error: error.message },
        "a work item is malformed and dropped",
      )
      await acknowledge(received.ackId ?? "")
      return undefined
    }
  }
  return { pull, close: async () => (await opening)?.close() }
}

async function pullMessage(client: v1.SubscriberClient, subscription: string, log: Log) {
  try {
    const [response] = await client.pull({ subscription, maxMessages: 1 }, { timeout: PULL_TIMEOUT_MS, retry: null })
    return response.receivedMessages?.[0]
  } catch (error) {
    const code = (error as { code?: unknown }).code
    // The ledger is the truth of what is offered; without Pub/Sub a task claims from there.
    if (code !== DEADLINE_EXCEEDED && code !== NOT_FOUND) {
      log.warn({ subscription, error: describeError(error) }, "the run's subscription cannot be pulled")
    }
    return undefined
  }
}
