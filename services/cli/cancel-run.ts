import { formatJson } from "../../schemas/json.ts"
import { CancelRequestSchema } from "../../schemas/messages/cancel_request_pb.ts"
import { topics } from "../../shared/messages/topics.ts"
import type { SendOptions } from "./await-verdict.ts"
import { dateOf, describeRunName, type RunName, toRunField } from "./run-name.ts"
import { sendRequest } from "./send-request.ts"
import type { Terminal } from "./terminal.ts"

/** `daybook cancel`: asks for a backfill to be given up, with its runs. */
export async function cancelBackfill(backfillId: string, options: SendOptions, terminal: Terminal): Promise<number> {
  return sendRequest(
    {
      topic: topics.cancelRequests,
      data: formatJson(CancelRequestSchema, { run: { case: "backfillId", value: backfillId } }),
      dates: [],
      what: `backfill ${backfillId} to be cancelled`,
      runIdOf: () => undefined,
    },
    options,
    terminal,
  )
}

/** `daybook cancel`: asks for a run to be given up. */
export async function cancelRun(name: RunName, options: SendOptions, terminal: Terminal): Promise<number> {
  const run = describeRunName(name)
  return sendRequest(
    {
      topic: topics.cancelRequests,
      data: formatJson(CancelRequestSchema, {
        run: toRunField(name),
      }),
      dates: [dateOf(name)],
      what: `${run} to be cancelled`,
      runIdOf: () => ("runId" in name ? name.runId : undefined),
    },
    options,
    terminal,
  )
}
