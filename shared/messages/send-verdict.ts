import type { MessageInitShape } from "@bufbuild/protobuf"
import type { Topic } from "@google-cloud/pubsub"
import { formatJson } from "../../schemas/json.ts"
import { RunVerdictSchema } from "../../schemas/messages/run_verdict_pb.ts"
import { traceAttributes } from "../telemetry/trace-parent.ts"
import { currentSpan } from "../telemetry/tracing.ts"

/**
 * Sends a verdict, with the attributes that subscriptions filter on. Sent at least once: the same verdict has the same
 * run, dispatch and request.
 */
export async function sendVerdict(topic: Topic, verdict: MessageInitShape<typeof RunVerdictSchema>): Promise<void> {
  const attributes = Object.fromEntries(
    Object.entries({ verdict: verdict.verdict, date: verdict.date, runId: verdict.runId }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  )
  await topic.publishMessage({
    data: Buffer.from(formatJson(RunVerdictSchema, verdict)),
    attributes: { ...attributes, ...traceAttributes(currentSpan()) },
  })
}
