import type { PublishedMessage } from "./messages.ts"
import { idOf, projectOf } from "./names.ts"
import { acceptMessages } from "./publish.ts"
import type { Store, Subscription } from "./store.ts"

/**
 * Publishes a message that has failed too often to the dead-letter topic, with the attributes that Google adds
 * (https://cloud.google.com/pubsub/docs/dead-letter-topics#how_dead_letter_topics_work). False if that topic is gone:
 * then the message stays where it is, and is tried again.
 */
export function forwardDeadLetter(
  store: Store,
  subscription: Subscription,
  message: PublishedMessage,
  attempts: number,
): boolean {
  const { name, deadLetterPolicy } = subscription.resource
  const topic = store.topics.get(deadLetterPolicy?.deadLetterTopic ?? "")
  if (!topic) return false
  const { messages, distribute } = acceptMessages(store, topic, [
    {
      data: message.data,
      orderingKey: message.orderingKey,
      attributes: {
        ...message.attributes,
        CloudPubSubDeadLetterSourceDeliveryCount: String(attempts),
        CloudPubSubDeadLetterSourceSubscription: idOf(name),
        CloudPubSubDeadLetterSourceSubscriptionProject: projectOf(name),
        CloudPubSubDeadLetterSourceTopicPublishTime: new Date(message.publishedAt).toISOString().replace("Z", "+00:00"),
      },
    },
  ])
  store.log("message dead-lettered", {
    subscription: name,
    messageId: message.messageId,
    attempts,
    topic: topic.resource.name,
    deadLetterMessageId: messages[0]?.messageId,
  })
  distribute()
  return true
}
