import { formatJson } from "../../schemas/json.ts"
import { ReleaseRequestSchema } from "../../schemas/messages/release_request_pb.ts"
import { topics } from "../../shared/messages/topics.ts"
import type { SendOptions } from "./await-verdict.ts"
import { dateOf, describeRunName, type RunName, toRunField } from "./run-name.ts"
import { sendRequest } from "./send-request.ts"
import type { Terminal } from "./terminal.ts"

/** `daybook release`: asks for a day that a check holds to be shown as it is. */
export async function releaseDay(name: RunName, options: SendOptions, terminal: Terminal): Promise<number> {
  const run = describeRunName(name)
  return sendRequest(
    {
      topic: topics.releaseRequests,
      data: formatJson(ReleaseRequestSchema, {
        run: toRunField(name),
      }),
      dates: [dateOf(name)],
      what: `${run} to be shown`,
      runIdOf: () => ("runId" in name ? name.runId : undefined),
    },
    options,
    terminal,
  )
}
