import type { Database } from "../database/open-database.ts"
import { PermanentError } from "../errors.ts"
import { findNewestRun, findRun, type Run } from "../ledger/runs/find-runs.ts"
import { topics } from "./topics.ts"

/** How requests name a run: by its id, or as the newest of a date. */
type RequestedRun = { case: "runId" | "date"; value: string } | { case: undefined; value?: undefined }

/** Finds the run that a request names. Throws a PermanentError if there is none. */
export async function findRequestedRun(db: Database, wanted: RequestedRun): Promise<Run> {
  const { value = "" } = wanted
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(value)
  const run = wanted.case === "runId" ? await findRun(db, value) : isDate ? await findNewestRun(db, value) : undefined
  if (run) return run
  throw new PermanentError(
    wanted.case === "runId"
      ? `there is no run ${JSON.stringify(value)}`
      : `there is no run of the date ${JSON.stringify(value)}: start it with {"date":…} on ${topics.runRequests}`,
  )
}
