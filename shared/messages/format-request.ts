import { formatJson } from "../../schemas/json.ts"
import { AuditRequestSchema } from "../../schemas/messages/audit_request_pb.ts"
import { BackfillRequestSchema } from "../../schemas/messages/backfill_request_pb.ts"
import { CancelRequestSchema } from "../../schemas/messages/cancel_request_pb.ts"
import { PauseRequestSchema } from "../../schemas/messages/pause_request_pb.ts"
import { ReleaseRequestSchema } from "../../schemas/messages/release_request_pb.ts"
import { RerunRequestSchema } from "../../schemas/messages/rerun_request_pb.ts"
import { RunRequestSchema } from "../../schemas/messages/run_request_pb.ts"
import { nameRun, type PersonRequest } from "./person-requests.ts"
import { topics } from "./topics.ts"

type Of<Kind extends PersonRequest["do"]> = Extract<PersonRequest, { do: Kind }>

/** Of each request the topic that takes it, and its data. */
const messages = {
  start: {
    topic: topics.runRequests,
    format: ({ date }: Of<"start">) => formatJson(RunRequestSchema, { date }),
  },
  rerun: {
    topic: topics.rerunRequests,
    format: ({ run, shards = [] }: Of<"rerun">) => formatJson(RerunRequestSchema, { run: nameRun(run), shards }),
  },
  release: {
    topic: topics.releaseRequests,
    format: ({ run }: Of<"release">) => formatJson(ReleaseRequestSchema, { run: nameRun(run) }),
  },
  cancel: {
    topic: topics.cancelRequests,
    format: (request: Of<"cancel">) =>
      formatJson(CancelRequestSchema, {
        run: "run" in request ? nameRun(request.run) : { case: "backfillId", value: request.backfill },
      }),
  },
  pause: {
    topic: topics.pauseRequests,
    format: ({ backfill, until }: Of<"pause">) =>
      formatJson(PauseRequestSchema, {
        paused: true,
        ...(until === undefined ? {} : { until }),
        ...(backfill === undefined ? {} : { backfillId: backfill }),
      }),
  },
  resume: {
    topic: topics.pauseRequests,
    format: ({ backfill }: Of<"resume">) =>
      formatJson(PauseRequestSchema, { paused: false, ...(backfill === undefined ? {} : { backfillId: backfill }) }),
  },
  backfill: {
    topic: topics.backfillRequests,
    format: ({ from, to, which, order, runsAtOnce }: Of<"backfill">) =>
      formatJson(BackfillRequestSchema, { from, to, which, order, runsAtOnce }),
  },
  audit: {
    topic: topics.auditRequests,
    format: ({ from, to }: Of<"audit">) => formatJson(AuditRequestSchema, from === to ? { date: from } : { from, to }),
  },
}

type Topics = { [Kind in keyof typeof messages]: (typeof messages)[Kind]["topic"] }

/** The message of a request: its topic, and its data, which is JSON. */
export function formatRequest<Request extends PersonRequest>(
  request: Request,
): { topic: Topics[Request["do"]]; data: string } {
  const { topic, format } = messages[request.do]
  // The compiler does not see that the two come from one request.
  return { topic: topic as Topics[Request["do"]], data: (format as (request: PersonRequest) => string)(request) }
}
