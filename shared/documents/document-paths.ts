// Where the evidence of a run is in the bucket. A run's id begins with its date.

export const planPath = (runId: string) => `${runFolder(runId)}/plan.json`
export const dispatchPath = (runId: string, dispatch: number) => `${runFolder(runId)}/dispatch-${dispatch}.json`
export const manifestFolder = (runId: string) => `${runFolder(runId)}/shards/`
export const manifestPath = (runId: string, index: number) => `${manifestFolder(runId)}${index}.json`
/** Of an epoch, where the bucket keeps that of an older one. */
export const laterManifestPath = (runId: string, index: number, epoch: number) =>
  `${manifestFolder(runId)}${index}-${epoch}.json`
/** Each is written once: another look may find others. */
export const faultsPath = (runId: string, dispatch: number, writtenAt: Date) =>
  `${runFolder(runId)}/faults-${dispatch}-${writtenAt.getTime()}.jsonl`
export const changesPath = (runId: string) => `${runFolder(runId)}/changes.jsonl`
export const verdictPath = (runId: string) => `${runFolder(runId)}/verdict.json`
/** Of a dispatch, where the bucket keeps that of an older one; a held day that is released has another on the same. */
export const laterVerdictPath = (runId: string, dispatch: number, verdict: string) =>
  `${runFolder(runId)}/verdict-${dispatch}-${verdict}.json`
export const rejectionPath = (topic: string, messageId: string) => `rejections/${topic}/${messageId}.json`

/** An audit's document is named by when it ended, and by its request: two may end in the same millisecond. */
export const auditPath = (date: string, auditedAt: Date, requestId: string) =>
  `audits/${date}/${auditedAt.toISOString().replaceAll(":", "-")}-${requestId}.json`

export function runFolder(runId: string): string {
  return `runs/${runId.slice(0, "YYYY-MM-DD".length)}/${runId}`
}
