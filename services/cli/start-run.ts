import { formatJson } from "../../schemas/json.ts"
import { RunRequestSchema } from "../../schemas/messages/run_request_pb.ts"
import { topics } from "../../shared/messages/topics.ts"
import type { SendOptions } from "./await-verdict.ts"
import { datesOfYesterday } from "./run-name.ts"
import { sendRequest } from "./send-request.ts"
import type { Terminal } from "./terminal.ts"

/** `daybook start`: asks for a date to be computed. */
export async function startRun(date: string, options: SendOptions, terminal: Terminal): Promise<number> {
  const isYesterday = date === "yesterday"
  return sendRequest(
    {
      topic: topics.runRequests,
      data: formatJson(RunRequestSchema, { date }),
      dates: isYesterday ? datesOfYesterday(new Date()) : [date],
      what: isYesterday ? "yesterday" : `the date ${date}`,
      runIdOf: (messageId) => (isYesterday ? undefined : `${date}-${messageId}`),
    },
    options,
    terminal,
  )
}
