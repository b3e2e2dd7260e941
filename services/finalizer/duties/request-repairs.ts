import type { Topic } from "@google-cloud/pubsub"
import { formatJson } from "../../../schemas/json.ts"
import { RunRequestSchema } from "../../../schemas/messages/run_request_pb.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { findDueRepair, markRepairAsked } from "../../../shared/ledger/days/mark-repair.ts"
import { REPAIR_ATTRIBUTE } from "../../../shared/messages/topics.ts"
import type { Log } from "../../../shared/telemetry/log.ts"

export interface RepairContext {
  db: Database
  log: Log
  /** The topic of run requests. */
  runRequests: Topic
  /** How long a request may take to become a run. */
  planningMsMax: number
  now(): Date
}

/**
 * Asks for a day that an audit found drifted to be started anew, once for each finding and one at a time. The request
 * names the audit, whose repair is one run however often it is asked for: a finalizer that dies between publishing and
 * writing that down asks again, and the planner knows it.
 */
export async function repairDay(context: RepairContext): Promise<void> {
  const { db, log, runRequests, planningMsMax } = context
  const audit = await findDueRepair(db, new Date(context.now().getTime() - planningMsMax))
  if (!audit) return
  const { auditId, revenueDate } = audit
  await runRequests.publishMessage({
    data: Buffer.from(formatJson(RunRequestSchema, { date: revenueDate })),
    attributes: { [REPAIR_ATTRIBUTE]: auditId, askedBy: "daybook", via: "repair" },
  })
  await markRepairAsked(db, auditId)
  log.info({ auditId, date: revenueDate }, "a drifted day is started anew")
}
