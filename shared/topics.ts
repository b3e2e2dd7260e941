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
