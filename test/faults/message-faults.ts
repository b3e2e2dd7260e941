import type { Call } from "../../services/local/faults.ts"
import { InjectedAnswer } from "../../services/local/faults.ts"
import type { FaultCloud } from "./fault-cloud.ts"

/** A push as the emulator makes it. */
export interface PushBody {
  message: { data: string; messageId: string; attributes?: Record<string, string> }
  subscription: string
}

export const isPushOf = (call: Call, subscription: string) =>
  call.method === "push" && call.resource.endsWith(`/subscriptions/${subscription}`)

export const dataOf = (call: Call) =>
  JSON.parse(Buffer.from((call.request as PushBody).message.data, "base64").toString()) as Record<string, unknown>

/** Loses every report from now on: it is acknowledged, and nobody has seen it. */
export function loseReports(cloud: FaultCloud, isLost: (report: Record<string, unknown>) => boolean = () => true) {
  let lost = 0
  const remove = cloud.cloud.pubsub.faults.add({
    matches: (call) => isPushOf(call, "finalizer-shard-reports") && isLost(dataOf(call)),
    before: () => {
      lost++
      throw new InjectedAnswer(204)
    },
  })
  return { remove, lost: () => lost }
}
