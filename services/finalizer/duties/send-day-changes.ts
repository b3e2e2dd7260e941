import type { Topic } from "@google-cloud/pubsub"
import { formatJson } from "../../../schemas/json.ts"
import { DayChangeSchema } from "../../../schemas/messages/day_change_pb.ts"
import { askerFields } from "../../../shared/asker.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import type { Totals } from "../../../shared/day/totals.ts"
import { dayFields } from "../../../shared/day/totals-fields.ts"
import { hasStatus } from "../../../shared/google/grpc-status.ts"
import { listUnsentChanges, markChangeSent, type StoredDayChange } from "../../../shared/ledger/days/day-changes.ts"
import { throwFailures } from "./try-each.ts"

const CHANGES_AT_ONCE_MAX = 100

/**
 * Makes the function that sends what has changed on published days, in its order. Each is sent at least once: one that
 * was sent and not yet marked is sent again with the same id. Calls of one process follow each other. A change that the topic
 * refuses keeps later ones of its date waiting, and no others.
 */
export function createChangeSender(db: Database, topic: Topic, bucketName: string): () => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  const sendOne = async (change: StoredDayChange) => {
    const { date, state, changeId } = change
    await topic.publishMessage({
      data: Buffer.from(formatJson(DayChangeSchema, toMessage(change, bucketName))),
      attributes: { date, state, changeId: String(changeId) },
    })
    await markChangeSent(db, changeId)
  }
  const send = async () => {
    const refused = new Map<string, unknown>()
    let changes: StoredDayChange[] = []
    do {
      changes = await listUnsentChanges(db, CHANGES_AT_ONCE_MAX, changes.at(-1)?.changeId)
      for (const change of changes) {
        if (refused.has(change.date)) continue
        try {
          await sendOne(change)
        } catch (error) {
          // Its schema refuses this one; anything else would meet the next one, too.
          if (!hasStatus(error, "invalidArgument")) throw error
          refused.set(change.date, error)
        }
      }
    } while (changes.length === CHANGES_AT_ONCE_MAX)
    throwFailures([...refused.values()])
  }
  return () => {
    const next = last.then(send)
    last = next.catch(() => undefined)
    return next
  }
}

function toMessage(change: StoredDayChange, bucketName: string) {
  const { date, state, version, runId, previousVersion, before, after, auditId, path, askedBy, via, note } = change
  return {
    changeId: String(change.changeId),
    date,
    state,
    changedAt: change.changedAt.toISOString(),
    version,
    runId,
    ...(previousVersion === undefined ? {} : { previousVersion }),
    ...(before ? { before: sideFields(before) } : {}),
    ...(after ? { after: sideFields(after) } : {}),
    ...(auditId === undefined ? {} : { auditId }),
    ...(path === undefined ? {} : { document: `gs://${bucketName}/${path}` }),
    ...askerFields({ askedBy: askedBy ?? null, via: via ?? null, note: note ?? null }),
  }
}

/** Amounts of several currencies are a text without digits. */
const sideFields = (totals: Totals) => ({ amountCents: "", ...dayFields(totals) })
