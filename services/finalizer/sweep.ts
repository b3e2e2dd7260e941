import { describeError } from "../../shared/errors.ts"
import { recordSweep } from "../../shared/telemetry/metrics.ts"
import { createDutyBook } from "./duties/duty-book.ts"
import { type DutyContext, listDuties } from "./duties/list-duties.ts"
import { createDutyRunner } from "./duties/run-duties.ts"

export interface SweepContext extends DutyContext {
  /** One sentence for people about an error; undefined where it has none of its own. */
  explain: (error: unknown) => string | undefined
}

/**
 * Makes the sweep, which does what no message asks for: it runs every duty that is due, and writes to the ledger what became
 * of them. It returns what failed, for its caller; undefined: nothing did. It always ends within a minute, whatever a duty
 * does. A call during a sweep gets the answer of that sweep.
 */
export function createSweep(context: SweepContext): () => Promise<string | undefined> {
  const { log, now } = context
  const explain = (error: unknown) => context.explain(error) ?? describeError(error)
  const runDuties = createDutyRunner(listDuties(context), { ...context, explain })
  const book = createDutyBook(context)
  let sweeping: Promise<string | undefined> | undefined
  async function sweep(): Promise<string | undefined> {
    const startedMs = performance.now()
    const { records, failed, running } = await runDuties()
    const isWritten = await book(records)
    recordSweep(now())
    // That there is none is what an alert watches.
    log.info({ ms: Math.round(performance.now() - startedMs), failed, running }, "a sweep has ended")
    if (failed.length > 0) return `these duties failed: ${failed.join(", ")}`
    return isWritten ? undefined : "what became of the duties cannot be written to the ledger"
  }
  return () => {
    sweeping ??= sweep().finally(() => {
      sweeping = undefined
    })
    return sweeping
  }
}
