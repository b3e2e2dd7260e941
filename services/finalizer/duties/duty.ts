import type { DutyName } from "../../../shared/ledger/duties/duties.ts"

/** Work that no message asks for: the sweep starts it again and again. */
export interface Duty {
  name: DutyName
  /** Milliseconds from one start to the next, at least; 0: every sweep starts it. After a failure the next sweep does. */
  everyMs: number
  /** Milliseconds after which it has failed, although it may still run: no sweep awaits it any more. */
  limitMs: number
  /** `more`: it left something for the next sweep, whatever `everyMs` says. */
  run(): Promise<"more" | void>
}
