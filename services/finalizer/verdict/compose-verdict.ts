import { create, type MessageInitShape } from "@bufbuild/protobuf"
import type { Shop } from "../../../schemas/database/shop.ts"
import {
  type Verdict,
  type Verdict_Changes,
  Verdict_ChangesSchema,
  Verdict_FaultSchema,
  Verdict_PartSchema,
  VerdictSchema,
} from "../../../schemas/documents/verdict_pb.ts"
import { convertMessage, formatJson } from "../../../schemas/json.ts"
import { RerunRequestSchema } from "../../../schemas/messages/rerun_request_pb.ts"
import { RunRequestSchema } from "../../../schemas/messages/run_request_pb.ts"
import {
  RunVerdict_ChangesSchema,
  RunVerdict_PartSchema,
  RunVerdict_UserChangeSchema,
  RunVerdictSchema,
} from "../../../schemas/messages/run_verdict_pb.ts"
import { type Asker, askerFields } from "../../../shared/asker.ts"
import { noRows } from "../../../shared/day/totals.ts"
import { changeFields, parseChange, totalsFields } from "../../../shared/day/totals-fields.ts"
import type { Run, ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import { topics } from "../../../shared/messages/topics.ts"
import type { Seen } from "../proof/add-up-evidence.ts"
import type { VersionChanges } from "./compare-versions.ts"
import type { Finding } from "./judge-run.ts"
import type { Objection } from "./run-checks.ts"
import type { Verification } from "./verify-run.ts"

// A rerun without indexes means all that the verdict found wanting: beyond this many it says the same and is shorter.
const SHARDS_NAMED_MAX = 1_000

/** As many faults as the document of a verdict names: it is kept in the ledger too, whose packets have their size. */
export const FAULTS_MAX = 1_000

/** The decision on a run that was verified. */
export function stateOf({ findings, objections }: Verification): "complete" | "incomplete" | "held" {
  if (findings.length > 0) return "incomplete"
  return objections.some(({ severity }) => severity === "block") ? "held" : "complete"
}

/** The verdict document, JSON: the decision with its evidence. `faultsDocument` is where faults are that it cannot name. */
export function composeVerdict(
  run: ShopRun,
  request: Asker & { requestId: string },
  verification: Verification,
  decidedAt: Date,
  faultsDocument?: string,
): string {
  const { findings, seen, changes, objections } = verification
  const state = stateOf(verification)
  return formatJson(
    VerdictSchema,
    {
      verdict: state,
      ...decisionFields(run, request, decidedAt),
      ...(state === "incomplete" ? { reason: describeFindings(findings), retry: composeRetry(run, findings) } : {}),
      ...(state === "held" ? { reason: describeObjections(objections) } : {}),
      checks: objections,
      ...(seen ? composeTotals(seen) : { ...nothingSeen(run.shop), shards: run.shardCount ?? 0 }),
      faults: findings.slice(0, FAULTS_MAX).map(toFault),
      ...(faultsDocument === undefined ? {} : { faultsInAll: BigInt(findings.length), faultsDocument }),
      ...(changes ? { changes: toChanges(changes) } : {}),
      ...(run.verifyingAt ? { verifyingAt: run.verifyingAt.toISOString() } : {}),
    },
    2,
  )
}

/** The verdict document of a run that somebody gave up, JSON. */
export function composeCancelled(run: ShopRun, request: Asker & { requestId: string }, decidedAt: Date): string {
  const who = request.askedBy === null ? "" : ` by ${request.askedBy}`
  const why = request.note === null ? "" : `: ${request.note}`
  return formatJson(
    VerdictSchema,
    {
      verdict: "cancelled",
      ...decisionFields(run, request, decidedAt),
      reason: `cancelled while it was ${run.state}${who}${why}`,
      ...nothingSeen(run.shop),
      shards: run.shardCount ?? 0,
    },
    2,
  )
}

/** On what was decided, for whom, and when. */
function decisionFields(run: Run, request: Asker & { requestId: string }, decidedAt: Date) {
  return {
    runId: run.runId,
    date: run.revenueDate,
    version: run.version,
    dispatch: run.dispatch,
    requestId: request.requestId,
    ...askerFields(request),
    decidedAt: decidedAt.toISOString(),
  }
}

/** Of a run that was not verified: whoever reads a verdict, also an older version, wants its totals. */
function nothingSeen({ layout }: Shop) {
  const none = totalsFields(noRows(layout))
  return { manifests: none, revenue: none, source: none, guests: none }
}

/** What each of the four sides adds up to. */
function composeTotals({ ranges, manifests, revenue, source, guests }: Seen) {
  return {
    shards: ranges.length,
    manifests: totalsFields(manifests),
    revenue: totalsFields(revenue),
    source: totalsFields(source),
    guests: totalsFields(guests),
  }
}

/** The message of a verdict document, which is at `document`, if the bucket took it. */
export function composeMessage(
  shop: Shop,
  verdict: Verdict,
  document: string | undefined,
): MessageInitShape<typeof RunVerdictSchema> {
  const { changes, ...decision } = verdict
  const { revenue, guests, faults } = verdict
  const indexesOf = (kind: Finding["kind"]) =>
    faults.filter(({ fault }) => fault === kind).flatMap(({ index }) => index ?? [])
  return {
    ...convertMessage(VerdictSchema, decision, RunVerdictSchema),
    ...(changes ? { changes: toMessageChanges(shop, changes) } : {}),
    rows: revenue?.rows ?? 0n,
    purchases: revenue?.purchases ?? 0n,
    ...(revenue?.amountCents === undefined ? {} : { amountCents: revenue.amountCents }),
    parts: revenue?.parts.map((part) => convertMessage(Verdict_PartSchema, part, RunVerdict_PartSchema)) ?? [],
    guestPurchases: guests?.purchases ?? 0n,
    ...(guests?.amountCents === undefined ? {} : { guestAmountCents: guests.amountCents }),
    missing: indexesOf("missing"),
    failed: indexesOf("failed"),
    corrupt: indexesOf("corrupt"),
    drifted: indexesOf("drifted"),
    ...(document === undefined ? {} : { document }),
  }
}

/** A line of the document that has all faults. */
export const formatFault = (finding: Finding): string => formatJson(Verdict_FaultSchema, toFault(finding))

function toFault({ index, kind, reason, usersDiffering, users = [] }: Finding) {
  return {
    fault: kind,
    reason,
    ...(index === undefined ? {} : { index }),
    ...(usersDiffering === undefined ? {} : { usersDiffering }),
    users: users.map(changeFields),
  }
}

function toChanges({ document, amountCentsBefore, amountCentsAfter, ...changes }: VersionChanges) {
  return {
    ...changes,
    ...(amountCentsBefore === undefined ? {} : { amountCentsBefore: String(amountCentsBefore) }),
    ...(amountCentsAfter === undefined ? {} : { amountCentsAfter: String(amountCentsAfter) }),
    largest: changes.largest.map(changeFields),
    ...(document === undefined ? {} : { document }),
  }
}

/** A user of a message: as a 64-bit integer where it is one. */
function userFields({ layout }: Shop, userId: string) {
  const isInt64 = layout.userType.kind === "integer" && BigInt.asIntN(64, BigInt(userId)) === BigInt(userId)
  return isInt64 ? { userId: BigInt(userId) } : { userKey: userId }
}

function toMessageChanges(shop: Shop, { largest, ...changes }: Verdict_Changes) {
  return {
    ...convertMessage(Verdict_ChangesSchema, { ...changes, largest: [] }, RunVerdict_ChangesSchema),
    largest: largest.map((change) => {
      const { userId, ...fields } = changeFields(parseChange(change))
      return create(RunVerdict_UserChangeSchema, { ...userFields(shop, userId), ...fields })
    }),
  }
}

/** Why a day is held, and what to do. */
function describeObjections(objections: Objection[]): string {
  const blocking = objections.filter(({ severity }) => severity === "block")
  const what = blocking.map(({ name, meaning, rows }) => `${name}: ${meaning} ${rows[0] ?? ""}`.trim()).join("; ")
  return `held by ${blocking.length === 1 ? "a check" : `${blocking.length} checks`}, and not shown: ${what}. Release it, or start the date anew`
}

/** `2 shards missing, 1 failed; first: shard 3: no task claimed it`. */
function describeFindings(findings: Finding[]): string {
  const counts = new Map<string, number>()
  for (const { kind } of findings) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  const [first] = findings
  const where = first?.index === undefined ? "" : `shard ${first.index}: `
  return `${[...counts].map(([kind, count]) => `${count} ${kind}`).join(", ")}; first: ${where}${first?.reason}`
}

/** A rerun of the shards, or the whole date anew where no rerun can help: the plan or what lies beside it is broken. */
function composeRetry(run: Run, findings: Finding[]) {
  const indexes = findings.map((finding) => finding.index).filter((index) => index !== undefined)
  if (indexes.length < findings.length) {
    return { topic: topics.runRequests, data: formatJson(RunRequestSchema, { date: run.revenueDate }) }
  }
  return {
    topic: topics.rerunRequests,
    data: formatJson(RerunRequestSchema, {
      run: { case: "runId", value: run.runId },
      shards: indexes.length > SHARDS_NAMED_MAX ? [] : indexes,
    }),
  }
}
