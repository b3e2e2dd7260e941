import { join } from "node:path"
import { AuditSchema } from "../../schemas/documents/audit_pb.ts"
import { type Verdict, VerdictSchema } from "../../schemas/documents/verdict_pb.ts"
import { parseDocument } from "../../schemas/json.ts"
import type { Database } from "../../shared/database/open-database.ts"
import { addTotals, type Totals } from "../../shared/day/totals.ts"
import { manifestFolder, planPath, runFolder, verdictPath } from "../../shared/documents/document-paths.ts"
import { findNewestAudit } from "../../shared/ledger/audits/find-audits.ts"
import { findPublishedDay } from "../../shared/ledger/days/published-days.ts"
import { type Dispatch, listDispatches } from "../../shared/ledger/runs/find-dispatches.ts"
import { findNewestRun, findRun, type Run } from "../../shared/ledger/runs/find-runs.ts"
import { type RunProgress, readRunProgress } from "../../shared/ledger/runs/run-progress.ts"
import { listShards, type Shard } from "../../shared/ledger/shards/find-shards.ts"
import { readTotals } from "../../shared/ledger/shards/totals-columns.ts"
import { nameRun } from "../../shared/messages/person-requests.ts"
import { CommandError } from "./explain-error.ts"

/** A finding about a shard, with the place where its task's log is. */
interface ShardFault {
  index: number | undefined
  fault: string
  reason: string
  log?: string
}

/** All there is to know of one run. */
export interface RunDetail {
  run: Omit<Run, "verdict" | "unfinishedDate">
  progress: RunProgress
  publishedVersion: number | undefined
  /** What the newest audit of the date found, if the run is what readers see. */
  audit: { auditedAt: Date | null; state: string; usersDiffering: bigint } | undefined
  dispatches: Dispatch[]
  /** What the computed shards add up to. */
  totals: Omit<Totals, "parts">
  /** By the verdict, or before it by the ledger. */
  faults: ShardFault[]
  verdict: Verdict | undefined
  /** gs:// URIs. */
  documents: { plan: string; manifests: string; verdict: string }
  /** Where the local cloud keeps them, and the logs of the executions. */
  files: { folder: string; logs: string } | undefined
}

export interface Places {
  BUCKET: string
  LOCAL_FOLDER?: string | undefined
}

/** Finds a run by its id, or the newest of a date; says what to do if there is none. */
export async function requireRun(db: Database, name: string): Promise<Run> {
  const { case: kind, value } = nameRun(name)
  const run = kind === "runId" ? await findRun(db, value) : await findNewestRun(db, value)
  if (run) return run
  throw new CommandError(
    kind === "runId"
      ? `There is no run ${value}: npm run daybook -- status lists the newest.`
      : `There is no run of ${value}: npm run daybook -- start ${value} asks for one; if you have, its request may still be on its way or rejected.`,
  )
}

export async function readRunDetail(db: Database, runId: string, places: Places): Promise<RunDetail> {
  const { verdict: text, unfinishedDate: _, ...run } = await requireRun(db, runId)
  const progress = await readRunProgress(db, runId)
  if (!progress) throw new CommandError(`Run ${runId} is gone: the planner could not plan it and took it back.`)
  const shards = await listShards(db, runId)
  const verdict = text ? parseDocument(VerdictSchema, text) : undefined
  const { BUCKET: bucket, LOCAL_FOLDER: folder } = places
  const uri = (path: string) => `gs://${bucket}/${path}`
  return {
    run,
    progress,
    publishedVersion: (await findPublishedDay(db, run.revenueDate))?.version,
    audit: await readNewestAudit(db, run),
    dispatches: await listDispatches(db, runId),
    totals: addUp(shards),
    faults: listFaults(verdict, shards, folder),
    verdict,
    documents: { plan: uri(planPath(runId)), manifests: uri(manifestFolder(runId)), verdict: uri(verdictPath(runId)) },
    files: folder
      ? { folder: join(folder, "bucket", bucket, runFolder(runId)), logs: join(folder, "logs") }
      : undefined,
  }
}

async function readNewestAudit(db: Database, run: Pick<Run, "runId" | "revenueDate">): Promise<RunDetail["audit"]> {
  const audit = await findNewestAudit(db, run.revenueDate)
  if (audit?.runId !== run.runId || !audit.document) return undefined
  const { usersDiffering } = parseDocument(AuditSchema, audit.document)
  return { auditedAt: audit.auditedAt, state: audit.state, usersDiffering }
}

function addUp(shards: Shard[]): RunDetail["totals"] {
  const done = shards.filter(({ state }) => state === "done").flatMap((shard) => readTotals(shard) ?? [])
  const { parts: _, ...totals } = done.reduce(addTotals, { rows: 0n, purchases: 0n, amountCents: 0n, parts: [] })
  return totals
}

function listFaults(verdict: Verdict | undefined, shards: Shard[], folder: string | undefined): ShardFault[] {
  const found = verdict
    ? verdict.faults.map(({ index, fault, reason }) => ({ index, fault, reason }))
    : shards
        .filter(({ state }) => state === "failed")
        .map(({ shardIndex, state, error }) => ({ index: shardIndex, fault: state, reason: error ?? "" }))
  const byIndex = new Map(shards.map((shard) => [shard.shardIndex, shard]))
  return found.map((fault) => {
    const shard = fault.index === undefined ? undefined : byIndex.get(fault.index)
    return shard?.execution ? { ...fault, log: logOf(shard, folder) } : fault
  })
}

/** The log of the attempt that had the shard last. */
function logOf({ execution, taskIndex, attempt }: Shard, folder: string | undefined): string {
  return folder
    ? join(folder, "logs", execution ?? "", `${taskIndex}-${attempt}.log`)
    : `execution ${execution}, task ${taskIndex}, attempt ${attempt}`
}
