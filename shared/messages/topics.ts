/** The attribute of a run request that names the audit whose finding the run is to repair. */
export const REPAIR_ATTRIBUTE = "repairOf"

/** The attribute of a run request that names the need of Daybook's own that it is for; one run for each. */
export const CAUSE_ATTRIBUTE = "cause"

/** The topics, by what they carry. Their contracts are schemas/messages/*.proto. */
export const topics = {
  runRequests: "run-requests",
  runStarts: "run-starts",
  rerunRequests: "rerun-requests",
  backfillRequests: "backfill-requests",
  cancelRequests: "cancel-requests",
  pauseRequests: "pause-requests",
  releaseRequests: "release-requests",
  auditRequests: "audit-requests",
  workItems: "work-items",
  shardReports: "shard-reports",
  runVerdicts: "run-verdicts",
  dayChanges: "day-changes",
  deadLetters: "dead-letters",
} as const
