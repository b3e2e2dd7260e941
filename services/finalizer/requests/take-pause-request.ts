import { parseJson } from "../../../schemas/json.ts"
import { PauseRequestSchema } from "../../../schemas/messages/pause_request_pb.ts"
import { readAsker } from "../../../shared/asker.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { PermanentError } from "../../../shared/errors.ts"
import { findBackfill, openStates } from "../../../shared/ledger/backfills/backfills.ts"
import { setBackfillPause, setPause } from "../../../shared/ledger/pauses/pause.ts"
import type { PushMessage } from "../../../shared/messages/push-server.ts"
import { type RejectionContext, rejectOrThrow } from "../../../shared/messages/reject-request.ts"
import { topics } from "../../../shared/messages/topics.ts"
import { type BackfillContext, driveBackfills } from "../duties/drive-backfills.ts"
import { startWaiting, type WaitingContext } from "../duties/start-waiting.ts"

export interface PauseContext extends BackfillContext, WaitingContext, RejectionContext {}

/** Pauses everything, or a backfill, or lets it go on. The newest request counts, in whatever order they come. */
export async function takePauseRequest(context: PauseContext, message: PushMessage): Promise<void> {
  const { db, log } = context
  try {
    const { paused, until, backfillId } = parseJson(PauseRequestSchema, message.data)
    const asker = readAsker(message.attributes)
    if (backfillId !== undefined && !(await isAtWork(db, backfillId))) {
      throw new PermanentError(`there is no backfill ${JSON.stringify(backfillId)} at work`)
    }
    const changedAt = message.publishedAt
    const isNewest =
      backfillId === undefined
        ? await setPause(db, { paused, untilAt: readUntil(until), changedAt, ...asker })
        : await setBackfillPause(db, backfillId, { paused, changedAt })
    if (!isNewest) {
      log.info({ messageId: message.id }, "a request to pause or to go on is older than what was said since")
      return
    }
    log.warn({ paused, until, backfillId, ...asker }, paused ? "paused" : "it goes on")
    if (paused) return
    await startWaiting(context)
    await driveBackfills(context)
  } catch (error) {
    await rejectOrThrow(context, topics.pauseRequests, message, error)
  }
}

async function isAtWork(db: Database, backfillId: string): Promise<boolean> {
  const backfill = await findBackfill(db, backfillId)
  return backfill !== undefined && openStates.includes(backfill.state)
}

function readUntil(until: string | undefined): Date | null {
  if (until === undefined) return null
  const at = new Date(until)
  if (!/^\d{4}-\d{2}-\d{2}T/.test(until) || Number.isNaN(at.getTime())) {
    throw new PermanentError(`"until" is no time such as 2026-11-22T18:00:00Z: ${JSON.stringify(until)}`)
  }
  return at
}
