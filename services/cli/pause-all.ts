import { formatJson } from "../../schemas/json.ts"
import { PauseRequestSchema } from "../../schemas/messages/pause_request_pb.ts"
import { topics } from "../../shared/messages/topics.ts"
import type { SendOptions } from "./await-verdict.ts"
import { sendRequest } from "./send-request.ts"
import type { Terminal } from "./terminal.ts"

interface PauseWanted {
  paused: boolean
  until?: string | undefined
  backfillId?: string | undefined
}

/** `daybook pause` and `daybook resume`: asks for everything, or a backfill, to pause or to go on. */
export async function pauseAll(
  { paused, until, backfillId }: PauseWanted,
  options: SendOptions,
  terminal: Terminal,
): Promise<number> {
  const what = backfillId === undefined ? "everything" : `backfill ${backfillId}`
  return sendRequest(
    {
      topic: topics.pauseRequests,
      data: formatJson(PauseRequestSchema, {
        paused,
        ...(until === undefined ? {} : { until }),
        ...(backfillId === undefined ? {} : { backfillId }),
      }),
      dates: [],
      what: `${what} to ${paused ? "pause" : "go on"}`,
      runIdOf: () => undefined,
    },
    options,
    terminal,
  )
}
