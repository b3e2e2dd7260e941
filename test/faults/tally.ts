import { appendFileSync } from "node:fs"

/** What a case was about, as the table at the end counts them. */
export type CaseKind =
  | "crash point"
  | "refusal"
  | "message fault"
  | "server fault"
  | "zombie"
  | "source change"
  | "soak run"
  | "failover"
  | "load"

export interface CaseResult {
  kind: CaseKind
  name: string
  /** Nothing is wrong if there are none. */
  faults: string[]
  seconds: number
}

/** Adds a case to the tally of this run of the suite; the program that started the suite makes the table of it. */
export function tally(result: CaseResult): void {
  const file = process.env["FAULTS_TALLY"]
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(result)}\n`)
}
