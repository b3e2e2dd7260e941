import { formatJson } from "../../schemas/json.ts"
import { RerunRequestSchema } from "../../schemas/messages/rerun_request_pb.ts"
import { topics } from "../../shared/messages/topics.ts"
import type { SendOptions } from "./await-verdict.ts"
import { dateOf, describeRunName, type RunName, toRunField } from "./run-name.ts"
import { sendRequest } from "./send-request.ts"
import type { Terminal } from "./terminal.ts"

/** `daybook rerun`: asks for shards of an incomplete run to be computed again; none named means all that are wanting. */
export async function rerunShards(
  name: RunName,
  shards: number[],
  options: SendOptions,
  terminal: Terminal,
): Promise<number> {
  const run = describeRunName(name)
  return sendRequest(
    {
      topic: topics.rerunRequests,
      data: formatJson(RerunRequestSchema, {
        run: toRunField(name),
        shards,
      }),
      dates: [dateOf(name)],
      what: `${shards.length === 0 ? "all that is wanting" : `shards ${shards.join(", ")}`} of ${run} to be computed again`,
      runIdOf: () => ("runId" in name ? name.runId : undefined),
    },
    options,
    terminal,
  )
}
