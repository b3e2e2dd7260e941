import * as v from "valibot"
import { backfillKinds } from "../../schemas/database/ledger.ts"
import { formatJson } from "../../schemas/json.ts"
import { BackfillRequestSchema } from "../../schemas/messages/backfill_request_pb.ts"
import { CancelRequestSchema } from "../../schemas/messages/cancel_request_pb.ts"
import { PauseRequestSchema } from "../../schemas/messages/pause_request_pb.ts"
import { ReleaseRequestSchema } from "../../schemas/messages/release_request_pb.ts"
import { RerunRequestSchema } from "../../schemas/messages/rerun_request_pb.ts"
import { RunRequestSchema } from "../../schemas/messages/run_request_pb.ts"
import { PermanentError } from "../../shared/errors.ts"
import { topics } from "../../shared/messages/topics.ts"

// What a person may ask for on the page: the same messages as the command line sends.

const date = v.pipe(v.string(), v.isoDate("is not a date such as 2026-11-24"))
const id = v.pipe(v.string(), v.regex(/^[\w.-]{1,96}$/, "is not an id"))

const schema = v.variant("do", [
  v.object({ do: v.literal("start"), date }),
  v.object({ do: v.literal("rerun"), run: id }),
  v.object({ do: v.literal("release"), run: id }),
  v.object({ do: v.literal("cancel"), run: id }),
  v.object({ do: v.literal("cancel-backfill"), backfill: id }),
  v.object({ do: v.picklist(["pause", "resume"]) }),
  v.object({ do: v.picklist(["pause-backfill", "resume-backfill"]), backfill: id }),
  v.object({
    do: v.literal("backfill"),
    from: date,
    to: date,
    which: v.optional(v.picklist(backfillKinds), "missing"),
    runsAtOnce: v.optional(
      v.pipe(v.string(), v.regex(/^[1-9]\d?$/, "is not a number from 1 to 99"), v.transform(Number)),
      "2",
    ),
  }),
])

export type Action = v.InferOutput<typeof schema>

/** Reads what a link or a form asks for; undefined if it asks for nothing. Throws a PermanentError for what is wrong. */
export function readAction(fields: Record<string, unknown>): Action | undefined {
  if (fields["do"] === undefined || fields["do"] === "") return undefined
  const read = v.safeParse(schema, fields)
  if (read.success) return read.output
  const [issue] = read.issues
  throw new PermanentError(`${v.getDotPath(issue) ?? "the form"}: ${issue.message}`)
}

export interface Request {
  topic: string
  /** The message, JSON. */
  data: string
}

const topicsOf: Record<Action["do"], string> = {
  start: topics.runRequests,
  backfill: topics.backfillRequests,
  rerun: topics.rerunRequests,
  release: topics.releaseRequests,
  cancel: topics.cancelRequests,
  "cancel-backfill": topics.cancelRequests,
  pause: topics.pauseRequests,
  resume: topics.pauseRequests,
  "pause-backfill": topics.pauseRequests,
  "resume-backfill": topics.pauseRequests,
}

/** The message that asks for it. */
export function toRequest(action: Action): Request {
  return { topic: topicsOf[action.do], data: formatData(action) }
}

function formatData(action: Action): string {
  if (action.do === "start") return formatJson(RunRequestSchema, { date: action.date })
  if (action.do === "backfill") {
    const { from, to, which, runsAtOnce } = action
    return formatJson(BackfillRequestSchema, { from, to, which, order: "newest-first", runsAtOnce })
  }
  if ("run" in action) {
    const run = { case: "runId", value: action.run } as const
    if (action.do === "rerun") return formatJson(RerunRequestSchema, { run, shards: [] })
    return formatJson(action.do === "release" ? ReleaseRequestSchema : CancelRequestSchema, { run })
  }
  if (action.do === "cancel-backfill") {
    return formatJson(CancelRequestSchema, { run: { case: "backfillId", value: action.backfill } })
  }
  const paused = action.do === "pause" || action.do === "pause-backfill"
  return formatJson(PauseRequestSchema, {
    paused,
    ...("backfill" in action ? { backfillId: action.backfill } : {}),
  })
}
