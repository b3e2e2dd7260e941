import { formatJson } from "../../schemas/json.ts"
import { ReleaseRequestSchema } from "../../schemas/messages/release_request_pb.ts"
import { topics } from "../../shared/messages/topics.ts"
import type { SendOptions } from "./await-verdict.ts"
import { dateOf, type RunName } from "./run-name.ts"
import { sendRequest } from "./send-request.ts"
import type { Terminal } from "./terminal.ts"

/** `daybook release`: asks for a day that a check holds to be shown as it is. */
export async function releaseDay(name: RunName, options: SendOptions, terminal: Terminal): Promise<number> {
  const run = "runId" in name ? `run ${name.runId}` : `the newest run of ${name.date}`
  return sendRequest(
    {
      topic: topics.releaseRequests,
      data: formatJson(ReleaseRequestSchema, {
        run: "runId" in name ? { case: "runId", value: name.runId } : { case: "date", value: name.date },
      }),
      dates: [dateOf(name)],
      what: `${run} to be shown`,
      runIdOf: () => ("runId" in name ? name.runId : undefined),
    },
    options,
    terminal,
  )
}
