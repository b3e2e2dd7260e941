import type { Verdict } from "../../schemas/documents/verdict_pb.ts"
import { topics } from "../../shared/messages/topics.ts"

/** How to put an incomplete run right: as a command and as the message itself. */
export function renderRetry({ retry, runId, date }: Pick<Verdict, "retry" | "runId" | "date">): string[] {
  if (!retry) return []
  const command = retry.topic === topics.rerunRequests ? `rerun ${runId}` : `start ${date}`
  return [`npm run daybook -- ${command}`, `or publish to ${retry.topic}: ${retry.data}`]
}
