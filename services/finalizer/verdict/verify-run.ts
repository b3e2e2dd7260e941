import type { Bucket } from "@google-cloud/storage"
import type { Shop } from "../../../schemas/database/shop.ts"
import type { Database } from "../../../shared/database/open-database.ts"
import { describeError } from "../../../shared/errors.ts"
import { noteThrottled } from "../../../shared/ledger/pauses/pause.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import type { Log } from "../../../shared/telemetry/log.ts"
import { inTraceSpan } from "../../../shared/telemetry/tracing.ts"
import { isTransient } from "../../../shared/transient.ts"
import { addUpEvidence, type Seen } from "../proof/add-up-evidence.ts"
import { gatherEvidence } from "../proof/gather-evidence.ts"
import type { Throttles } from "../proof/throttles.ts"
import { compareVersions, type VersionChanges } from "./compare-versions.ts"
import { type Finding, judgeRun } from "./judge-run.ts"
import { nameUsers } from "./name-users.ts"
import { type Check, type Objection, runChecks } from "./run-checks.ts"

export interface VerifyContext {
  db: Database
  throttles: Throttles
  /** Where the shop is read; the database itself unless the shop is elsewhere. */
  shopDb: Database
  shop: Shop
  bucket: Bucket
  log: Log
  /** What is asked of a day before readers see it. */
  checks: Check[]
  /** Milliseconds after which a run that cannot be verified is incomplete. */
  verifyingMsMax: number
  /** At its abort, what waits for the shop's server ends. */
  signal: AbortSignal
  now(): Date
}

/** What verification came to. */
export interface Verification {
  findings: Finding[]
  /** Undefined where evidence could not be gathered. */
  seen: Seen | undefined
  /** What a complete run changes of the version before it. */
  changes: VersionChanges | undefined
  /** Checks that it did not pass, though its evidence is sound. */
  objections: Objection[]
}

// What is not expected to pass (a value that is no number, a column that is gone, no privilege) may still be put right by
// somebody at once, and a deployment may have been half done.
export const LASTING_ERROR_MS_MAX = 5 * 60_000

/**
 * Verifies a run that is closed. What fails is tried again with the next delivery or sweep; a run that cannot be verified
 * for too long is incomplete, with the reason, so that its date is not locked for ever: five minutes for an error that is
 * not expected to pass, `verifyingMsMax` for any, without what it has waited for a busy shop.
 */
export async function verifyRun(context: VerifyContext, run: ShopRun): Promise<Verification> {
  const { db, shopDb, bucket } = context
  const throttleId = `run ${run.runId}, dispatch ${run.dispatch}`
  const throttle = context.throttles.of(throttleId, (reason) => noteThrottled(db, run.runId, reason))
  try {
    const { found, seen } = await inTraceSpan("gather evidence", {}, async () => {
      const gathered = await gatherEvidence(db, shopDb, bucket, run, { ...context, throttle })
      const { evidence, seen: added } = addUpEvidence(run.shop, gathered)
      return { found: await judgeRun(run, evidence), seen: added }
    })
    const findings = await nameUsers(db, shopDb, run, seen.ranges, found, throttle)
    // Before anything is decided: what readers saw until now is still there.
    const changes = findings.length > 0 ? undefined : await compareVersions(db, bucket, run, seen, context)
    const objections = findings.length > 0 ? [] : await runChecks(db, context.checks, run, seen)
    context.throttles.end(throttleId)
    return { findings, seen, changes, objections }
  } catch (error) {
    // That this process ends says nothing of the run.
    if (context.signal.aborted) throw error
    const since = run.verifyingAt ?? run.requestedAt
    const msMax = isTransient(error) ? context.verifyingMsMax : Math.min(LASTING_ERROR_MS_MAX, context.verifyingMsMax)
    if (context.now().getTime() - since.getTime() - throttle.waitedMs < msMax) throw error
    context.throttles.end(throttleId)
    return asUnverified(`it cannot be verified, tried since ${since.toISOString()}: ${describeError(error)}`)
  }
}

/** Of a run of which nothing can be said but why. */
export function asUnverified(reason: string): Verification {
  return { findings: [{ kind: "unverified", reason }], seen: undefined, changes: undefined, objections: [] }
}
