import type { Database } from "../../../shared/database/open-database.ts"
import { describeError } from "../../../shared/errors.ts"
import {
  type DutyName,
  type DutyRecord,
  FAILURES_BEFORE_ATTENTION,
  type FailingDuty,
  listFailingDuties,
  recordDuties,
} from "../../../shared/ledger/duties/duties.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { type Attempt, awaitAttempt, beginAttempt } from "./attempt.ts"

type Records = Map<DutyName, DutyRecord>

// A statement takes milliseconds. One that does not come back must not hold the sweep's answer.
const WRITE_MS_MAX = 5_000

/**
 * Makes the function that writes to the ledger what became of duties, and logs those that keep failing. It returns false where
 * the ledger cannot be written; then the log says so, and all of it is written once the ledger can be.
 */
export function createDutyBook({ db, log }: { db: Database; log: Log }): (records: DutyRecord[]) => Promise<boolean> {
  let unwritten: Records = new Map()
  let writing: Attempt<void> | undefined
  async function write(): Promise<void> {
    const batch = unwritten
    unwritten = new Map()
    try {
      await recordDuties(db, [...batch.values()])
    } catch (error) {
      unwritten = addRecords(batch, unwritten.values())
      throw error
    }
  }
  return async (records) => {
    unwritten = addRecords(unwritten, records)
    const hasFailures = records.some(({ failures }) => failures > 0)
    // A write that hangs may still succeed, and a second one beside it would count twice.
    if (writing) await awaitAttempt(writing, WRITE_MS_MAX)
    if (!writing || writing.outcome) {
      writing = beginAttempt(write)
      await awaitAttempt(writing, WRITE_MS_MAX)
    }
    const error = findFailure(writing)
    if (error !== undefined) {
      log.error({ error }, "what became of duties cannot be written to the ledger, and is in this log alone")
      tellFailing([...unwritten.values()].filter(({ failures }) => failures >= FAILURES_BEFORE_ATTENTION))
      return false
    }
    const listing = hasFailures ? beginAttempt(async () => tellFailing(await listFailingDuties(db))) : undefined
    if (listing) await awaitAttempt(listing, WRITE_MS_MAX)
    return true
  }

  function tellFailing(failing: (DutyRecord | FailingDuty)[]): void {
    for (const { name, failures, failingSince, lastError } of failing) {
      // An alert policy looks for this line.
      log.error({ duty: name, failures, since: failingSince, error: lastError }, "a duty keeps failing")
    }
  }
}

function findFailure({ outcome }: Attempt<void>): string | undefined {
  if (!outcome) return `it was not answered within ${WRITE_MS_MAX / 1_000} s`
  return "error" in outcome ? describeError(outcome.error) : undefined
}

/** Later records behind earlier ones: a success ends the failures before it. */
function addRecords(earlier: Records, later: Iterable<DutyRecord>): Records {
  const sum = new Map(earlier)
  for (const record of later) {
    const before = sum.get(record.name)
    const isAlone = before === undefined || record.succeededAt !== undefined
    sum.set(record.name, isAlone ? record : addRecord(before, record))
  }
  return sum
}

function addRecord(before: DutyRecord, { name, failures, failingSince, lastError }: DutyRecord): DutyRecord {
  return {
    name,
    succeededAt: before.succeededAt,
    failures: before.failures + failures,
    failingSince: before.failingSince ?? failingSince,
    lastError: lastError ?? before.lastError,
  }
}
