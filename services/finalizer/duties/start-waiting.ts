import type { Topic } from "@google-cloud/pubsub"
import { formatJson } from "../../../schemas/json.ts"
import { RunStartSchema } from "../../../schemas/messages/run_start_pb.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { findPause, listPausedRuns } from "../../../shared/ledger/pauses/pause.ts"
import { listWaitingRuns } from "../../../shared/ledger/runs/run-queue.ts"
import { tryEach } from "./try-each.ts"

export interface WaitingContext {
  db: Database
  /** The topic of runs whose turn may have come. */
  runStarts: Topic
}

// A verdict makes room for one; a sweep makes up for what was missed.
const STARTS_OF_EACH_KIND_MAX = 10

/**
 * Tells the planner of the runs that stopped because of a pause that is over, and of those that wait for their turn. It knows
 * for how many there is room.
 */
export async function startWaiting({ db, runStarts }: WaitingContext): Promise<void> {
  if ((await findPause(db)) !== undefined) return
  const told = [...(await listPausedRuns(db)), ...(await listWaitingRuns(db, STARTS_OF_EACH_KIND_MAX))]
  await tryEach(told, ({ runId }) =>
    runStarts.publishMessage({ data: Buffer.from(formatJson(RunStartSchema, { runId })) }),
  )
}
