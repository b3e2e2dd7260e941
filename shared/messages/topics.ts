/** The attribute of a run request that names the audit whose finding the run is to repair. */
export const REPAIR_ATTRIBUTE = "repairOf"

/** The topics, by what they carry. Their contracts are schemas/messages/*.proto. */
export const topics = {
  runRequests: "run-requests",
  rerunRequests: "rerun-requests",
  auditRequests: "audit-requests",
  workItems: "work-items",
  shardReports: "shard-reports",
  runVerdicts: "run-verdicts",
  dayChanges: "day-changes",
  deadLetters: "dead-letters",
} as const
