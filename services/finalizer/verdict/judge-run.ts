import { setImmediate as giveWay } from "node:timers/promises"
import type { Manifest } from "../../../schemas/documents/manifest_pb.ts"
import type { Plan } from "../../../schemas/documents/plan_pb.ts"
import type { UserChange } from "../../../shared/day/compare-totals.ts"
import type { CheckedRows } from "../../../shared/day/revenue-rows.ts"
import { type CheckedTotals, sameTotals, type Totals } from "../../../shared/day/totals.ts"
import { parseTotals } from "../../../shared/day/totals-fields.ts"
import type { Run, ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import type { Shard } from "../../../shared/ledger/shards/find-shards.ts"
import { findGap, formatRange, isRange, parseRange, type Range } from "../../../shared/range.ts"
import type { Evidence, ShardEvidence } from "../proof/gather-evidence.ts"

/**
 * Why a shard is not as it should be; `index` is undefined where it is about the run as a whole, as it always is where the
 * run could not be verified.
 */
export interface Finding {
  index?: number
  kind: "missing" | "failed" | "corrupt" | "drifted" | "unverified"
  reason: string
  /** Of a drifted shard that was looked through: how many users differ, and the first of them. */
  usersDiffering?: bigint
  users?: UserChange[]
}

/**
 * Compares what was promised with what is there, and names every shard that falls short, in the order of the indexes:
 * at most one finding each, the first of missing, failed, corrupt, drifted. No finding at all is a complete run.
 */
export async function judgeRun(run: ShopRun, evidence: Evidence): Promise<Finding[]> {
  const { plan } = evidence
  const findings: Finding[] = []
  let count = 0
  let differing: Shard | undefined
  for await (const piece of evidence.shards) {
    await giveWay()
    for (const of of piece) {
      if (typeof plan !== "string" && isElsewhere(plan, of, count)) differing ??= of.shard
      count++
      const finding = judgeShard(run, of)
      if (finding) findings.push({ index: of.shard.shardIndex, ...finding })
    }
  }
  const ofRun = run.dispatchError ? [judgeDispatch(run.dispatchError)] : judgePlan(run, plan, count, differing)
  findings.unshift(...ofRun)
  for (const stranger of evidence.strangers) {
    const reason =
      typeof stranger === "number"
        ? `there is a manifest of shard ${stranger}, which the plan does not have`
        : `${stranger} is among the manifests and is none`
    findings.push({ kind: "corrupt", reason })
  }
  return findings
}

/** Whatever is missing is so for this reason. */
function judgeDispatch(error: string): Finding {
  return { kind: "failed", reason: `it could not be planned, or its execution not be started: ${error}` }
}

/** The plan must tile the id space, and the ledger must be that plan. */
function judgePlan(run: ShopRun, plan: Plan | string, count: number, differing: Shard | undefined): Finding[] {
  if (typeof plan === "string") return [{ kind: "corrupt", reason: plan }]
  const findings: Finding[] = []
  const say = (reason: string) => findings.push({ kind: "corrupt", reason })
  if (run.checksumMultipliers === null) {
    say("it was begun by an older version of Daybook, which could not prove each user")
  }
  if (plan.checksumMultipliers !== undefined && plan.checksumMultipliers !== run.checksumMultipliers) {
    say("its checksums are made by other multipliers than the plan's")
  }
  if (plan.runId !== run.runId) say(`plan.json is of run ${plan.runId}`)
  const gap = findGap(plan.shards.map((fields) => parseRange(run.shop.layout.userType, fields)))
  if (gap) say(`the plan does not cover every user once: shard ${gap.index}: ${gap.reason}`)
  if (plan.shards.length !== count) say(`the plan has ${plan.shards.length} shards and the ledger ${count}`)
  if (differing) say(`shard ${differing.shardIndex} has another range in the ledger than in the plan`)
  return findings
}

/** Whether the ledger has another shard at a place than the plan. */
function isElsewhere(plan: Plan, { shard, range }: ShardEvidence, place: number): boolean {
  const planned = plan.shards[place]
  return planned !== undefined && (shard.shardIndex !== place || !isRange(planned, range))
}

type ShardFinding = Omit<Finding, "index">

function judgeShard(run: Run, { shard, range, manifest, rows, source }: ShardEvidence): ShardFinding | undefined {
  switch (shard.state) {
    case "failed":
      return { kind: "failed", reason: shard.error ?? "it gave no reason" }
    case "missing":
      return { kind: "missing", reason: describeMissing(shard) }
    case "offered":
    case "claimed":
      return { kind: "missing", reason: `it is still ${shard.state}` }
    case "done":
  }
  if (manifest === undefined) {
    return { kind: "missing", reason: `it is done at epoch ${shard.epoch} and its manifest is not there` }
  }
  if (typeof manifest === "string") return { kind: "corrupt", reason: `its manifest cannot be read: ${manifest}` }
  return judgeManifest(run, shard, range, manifest) ?? judgeRows(manifest, rows) ?? judgeSource(manifest, source)
}

function describeMissing(shard: Shard): string {
  return shard.execution === null
    ? "no task claimed it"
    : `task ${shard.taskIndex} of execution ${shard.execution} claimed it (attempt ${shard.attempt}) and did not finish it`
}

function judgeManifest(run: Run, shard: Shard, range: Range, manifest: Manifest): ShardFinding | undefined {
  if (manifest.runId !== run.runId) return differs("run", manifest.runId, run.runId)
  if (manifest.date !== run.revenueDate) return differs("date", manifest.date, run.revenueDate)
  if (manifest.version !== run.version) return differs("version", manifest.version, run.version)
  if (manifest.index !== shard.shardIndex) return differs("index", manifest.index, shard.shardIndex)
  if (manifest.epoch > shard.epoch) {
    const { reason } = differs("epoch", manifest.epoch, shard.epoch)
    return { kind: "corrupt", reason: `${reason}: the database went back in time, as by a restore; compute it again` }
  }
  if (manifest.epoch !== shard.epoch) return differs("epoch", manifest.epoch, shard.epoch)
  if (!isRange(manifest, range)) return differs("range", formatRange(manifest), formatRange(range))
  return undefined
}

function differs(what: string, promised: string | number, known: string | number): ShardFinding {
  return { kind: "corrupt", reason: `its manifest says ${what} ${promised}, the ledger ${known}` }
}

function judgeRows(manifest: Manifest, { totals, checksum }: CheckedRows): ShardFinding | undefined {
  const promised = parseTotals(manifest)
  const pairs: [string, bigint | undefined, bigint | undefined][] = [
    ["rows", promised.rows, totals.rows],
    ["purchases", promised.purchases, totals.purchases],
    ["amount", promised.amountCents, totals.amountCents],
    ["checksum", BigInt(manifest.checksum), checksum],
  ]
  const differing = pairs.find(([, said, found]) => said !== found)
  if (differing) {
    const [what, said, found] = differing
    return { kind: "corrupt", reason: `its manifest says ${what} ${said}, its Revenue rows say ${found}` }
  }
  if (sameTotals(promised, totals)) return undefined
  return { kind: "corrupt", reason: "its manifest says other sums of currencies or measures than its Revenue rows" }
}

function judgeSource(manifest: Manifest, { totals, checksum }: CheckedTotals): ShardFinding | undefined {
  const promised = parseTotals(manifest)
  if (checksum === BigInt(manifest.checksum) && sameTotals(promised, totals)) return undefined
  const now = `the shop now has ${totals.purchases} purchases${describeAmount(totals)}`
  const then = `it was computed from ${promised.purchases}${describeAmount(promised)}`
  return { kind: "drifted", reason: `${now}, and ${then}` }
}

function describeAmount({ amountCents, parts }: Totals): string {
  if (amountCents !== undefined) return ` of ${amountCents}`
  return ` of ${parts.map(({ currency, amountCents: amount }) => `${amount} ${currency}`).join(", ") || "0"}`
}
