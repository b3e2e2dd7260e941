import type { protos } from "@google-cloud/pubsub"
import type { NewMessage } from "./messages.ts"
import { idOf } from "./names.ts"
import { refuse } from "./refusals.ts"
import { findRevision, type Revision } from "./schema-store.ts"
import type { Store, Topic } from "./store.ts"

type ISchemaSettings = protos.google.pubsub.v1.ISchemaSettings

/** Refuses settings of a topic whose schema does not exist or whose encoding is not said. */
export function checkSchemaSettings(store: Store, settings: ISchemaSettings): void {
  const { schema } = findRevision(store.schemas, settings.schema)
  for (const revisionId of [settings.firstRevisionId, settings.lastRevisionId]) {
    if (revisionId) findRevision(store.schemas, `${schema.name}@${revisionId}`)
  }
  readEncoding(settings)
}

/**
 * Gives the message as the topic's schema lets it through: with the attributes that say which schema and revision it
 * was checked against (https://cloud.google.com/pubsub/docs/associate-schema-topic). One message that does not fit
 * refuses the whole publish.
 */
export function checkAgainstSchema(store: Store, topic: Topic, message: NewMessage): NewMessage {
  const settings = topic.resource.schemaSettings
  if (!settings?.schema) return message
  const schema = store.schemas.get(settings.schema)
  if (!schema) throw refuse(`The schema of the topic ${idOf(topic.resource.name)} has been deleted.`)
  const encoding = readEncoding(settings)
  let reason: unknown
  for (const revision of acceptedRevisions(schema.revisions, settings)) {
    try {
      revision.check(encoding, message.data)
    } catch (error) {
      reason ??= error
      continue
    }
    const attributes = {
      ...message.attributes,
      googclient_schemaname: schema.name,
      googclient_schemaencoding: encoding,
      googclient_schemarevisionid: revision.id,
    }
    return { ...message, attributes }
  }
  const why = reason instanceof Error ? reason.message : "no revision of the schema is allowed"
  throw refuse(`Invalid data in message: Message failed schema validation. ${why}`)
}

/** The revisions between the first and the last that the topic allows, newest first, as Google tries them. */
function acceptedRevisions(revisions: Revision[], settings: ISchemaSettings): Revision[] {
  const first = settings.firstRevisionId ? revisions.findIndex(({ id }) => id === settings.firstRevisionId) : 0
  const last = settings.lastRevisionId
    ? revisions.findIndex(({ id }) => id === settings.lastRevisionId)
    : revisions.length - 1
  return revisions.slice(Math.max(first, 0), last + 1).toReversed()
}

function readEncoding({ encoding }: ISchemaSettings): "JSON" | "BINARY" {
  if (encoding !== "JSON" && encoding !== "BINARY")
    throw refuse("The schema settings' encoding must be JSON or BINARY.")
  return encoding
}
