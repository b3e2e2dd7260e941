// Where the evidence of a run is in the bucket. A run's id begins with its date.

export const planPath = (runId: string) => `${runFolder(runId)}/plan.json`
export const dispatchPath = (runId: string, dispatch: number) => `${runFolder(runId)}/dispatch-${dispatch}.json`
export const manifestFolder = (runId: string) => `${runFolder(runId)}/shards/`
export const manifestPath = (runId: string, index: number) => `${manifestFolder(runId)}${index}.json`
export const verdictPath = (runId: string) => `${runFolder(runId)}/verdict.json`
export const rejectionPath = (topic: string, messageId: string) => `rejections/${topic}/${messageId}.json`

export function runFolder(runId: string): string {
  return `runs/${runId.slice(0, "YYYY-MM-DD".length)}/${runId}`
}
