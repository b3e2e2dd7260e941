import { create } from "@bufbuild/protobuf"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type Manifest, ManifestSchema } from "../../../schemas/documents/manifest_pb.ts"
import { PlanSchema } from "../../../schemas/documents/plan_pb.ts"
import type { Evidence, ShardEvidence } from "../../../services/finalizer/proof/gather-evidence.ts"
import { type Finding, judgeRun } from "../../../services/finalizer/verdict/judge-run.ts"
import type { ShopRun } from "../../../shared/ledger/runs/find-runs.ts"
import type { Shard } from "../../../shared/ledger/shards/find-shards.ts"
import { rangeColumns } from "../../../shared/ledger/shards/shard-range.ts"
import { rangeFields } from "../../../shared/range.ts"
import { cutAt, newRun } from "../../fixtures/test-run.ts"

const run = { ...newRun({ requestId: "1" }), runId: "2026-11-22-1", version: 1, state: "verifying" } as ShopRun

/** A run of three shards about which everything is right. */
function soundEvidence() {
  const ranges = cutAt(100n, 200n)
  const source = { rows: undefined, purchases: 20n, amountCents: 30n, parts: [] }
  const shards = ranges.map(
    (range, index) =>
      ({
        runId: run.runId,
        shardIndex: index,
        ...rangeColumns(range),
        state: "done",
        epoch: index + 1,
        execution: "job-aaaaa",
        taskIndex: 0,
        attempt: 0,
      }) as Shard,
  )
  const manifests = ranges.map((range, index) =>
    create(ManifestSchema, {
      runId: run.runId,
      date: run.revenueDate,
      version: 1,
      index,
      ...rangeFields(range),
      epoch: index + 1,
      rows: 10n,
      purchases: 20n,
      amountCents: "30",
      checksum: "40",
    }),
  )
  return {
    plan: create(PlanSchema, { runId: run.runId, shards: ranges.map(rangeFields) }),
    shards: shards.map(
      (shard, index): ShardEvidence => ({
        shard,
        range: ranges[index] ?? {},
        manifest: manifests[index],
        rows: { totals: { ...source, rows: 10n }, checksum: 40n, largestCents: 5n },
        source: { totals: { ...source }, checksum: 40n },
      }),
    ),
    strangers: [] as (string | number)[],
    guests: { rows: undefined, purchases: 1n, amountCents: 2n, parts: [] },
  }
}

type SoundEvidence = ReturnType<typeof soundEvidence>

function judge(harm: (evidence: SoundEvidence) => void): Promise<Finding[]> {
  const evidence = soundEvidence()
  harm(evidence)
  const { shards, ...others } = evidence
  // In two pieces, as those of many shards are.
  return judgeRun(run, { ...others, shards: [shards.slice(0, 2), shards.slice(2)] } satisfies Evidence)
}

const of = (evidence: SoundEvidence, index: number) => evidence.shards[index] as ShardEvidence
const shardOf = (evidence: SoundEvidence, index: number) => of(evidence, index).shard
const manifestOf = (evidence: SoundEvidence, index: number) => of(evidence, index).manifest as Manifest

test("where everything is right there is no finding", async () => {
  expect(await judge(() => {})).toEqual([])
})

describe("one shard at fault is named with what is wrong", () => {
  test.each<[string, Finding["kind"], (evidence: SoundEvidence) => void]>([
    ["no task claimed it", "missing", (e) => Object.assign(shardOf(e, 1), { state: "missing", execution: null })],
    ["task 0 of execution job-aaaaa claimed it", "missing", (e) => Object.assign(shardOf(e, 1), { state: "missing" })],
    ["its manifest is not there", "missing", (e) => Object.assign(of(e, 1), { manifest: undefined })],
    ["Out of range", "failed", (e) => Object.assign(shardOf(e, 1), { state: "failed", error: "Out of range" })],
    [
      "cannot be read: Manifest.epoch: missing",
      "corrupt",
      (e) => Object.assign(of(e, 1), { manifest: "Manifest.epoch: missing" }),
    ],
    ["says epoch 1, the ledger 2", "corrupt", (e) => Object.assign(manifestOf(e, 1), { epoch: 1 })],
    ["says run 2026-11-22-2", "corrupt", (e) => Object.assign(manifestOf(e, 1), { runId: "2026-11-22-2" })],
    ["says version 2", "corrupt", (e) => Object.assign(manifestOf(e, 1), { version: 2 })],
    ["says date 2026-11-21", "corrupt", (e) => Object.assign(manifestOf(e, 1), { date: "2026-11-21" })],
    ["says index 2", "corrupt", (e) => Object.assign(manifestOf(e, 1), { index: 2 })],
    ["says range [99, 200)", "corrupt", (e) => Object.assign(manifestOf(e, 1), { from: 99n })],
    ["says rows 10, its Revenue rows say 9", "corrupt", (e) => Object.assign(of(e, 1).rows.totals, { rows: 9n })],
    ["says purchases 20", "corrupt", (e) => Object.assign(of(e, 1).rows.totals, { purchases: 19n })],
    ["says amount 30", "corrupt", (e) => Object.assign(of(e, 1).rows.totals, { amountCents: 31n })],
    ["says checksum 40", "corrupt", (e) => Object.assign(of(e, 1).rows, { checksum: 41n })],
    [
      "the shop now has 21 purchases of 30",
      "drifted",
      (e) => Object.assign(of(e, 1).source.totals, { purchases: 21n }),
    ],
    [
      "the shop now has 20 purchases of -5",
      "drifted",
      (e) => Object.assign(of(e, 1).source.totals, { amountCents: -5n }),
    ],
  ])("%s", async (reason, kind, harm) => {
    const findings = await judge(harm)
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({ index: 1, kind })
    expect(findings[0]?.reason).toContain(reason)
  })
})

describe("what is wrong with the run as a whole has no index", () => {
  test.each<[string, (evidence: SoundEvidence) => void]>([
    ["plan.json is not there", (e) => Object.assign(e, { plan: "plan.json is not there" })],
    ["by other multipliers than the plan's", (e) => Object.assign(e.plan, { checksumMultipliers: "1,3,5,7" })],
    ["plan.json is of run x", (e) => Object.assign(e.plan, { runId: "x" })],
    ["the plan does not cover every user once", (e) => Object.assign(e.plan.shards[1] ?? {}, { from: 101n })],
    ["the plan has 2 shards and the ledger 3", (e) => e.plan.shards.pop()],
    ["has another range in the ledger", (e) => Object.assign(of(e, 0), { range: { to: 99n } })],
    ["a manifest of shard 7, which the plan does not have", (e) => e.strangers.push(7)],
    ["notes.txt is among the manifests", (e) => e.strangers.push("shards/notes.txt")],
  ])("%s", async (reason, harm) => {
    const findings = (await judge(harm)).filter((finding) => finding.index === undefined)
    expect(findings.some((finding) => finding.kind === "corrupt" && finding.reason.includes(reason))).toBe(true)
  })
})

test("two changes of the source that cancel out over the day are still found, each in its shard", async () => {
  const findings = await judge((evidence) => {
    Object.assign(of(evidence, 0).source.totals, { amountCents: 31n })
    Object.assign(of(evidence, 2).source.totals, { amountCents: 29n })
  })
  expect(findings.map((finding) => [finding.index, finding.kind])).toEqual([
    [0, "drifted"],
    [2, "drifted"],
  ])
})

test("no single changed number of a manifest goes unnoticed", async () => {
  const numbers = ["epoch", "rows", "purchases", "amountCents", "checksum", "index", "version"] as const
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: 2 }),
      fc.constantFrom(...numbers),
      fc.integer({ min: 1 }),
      async (index, field, change) => {
        const findings = await judge((evidence) => {
          const manifest = manifestOf(evidence, index)
          const value = manifest[field] ?? ""
          const changed = BigInt(value) + BigInt(change)
          const retyped = { number: Number(changed), string: String(changed), bigint: changed }[
            typeof value as "number"
          ]
          Object.assign(manifest, { [field]: retyped })
        })
        expect(findings.map((finding) => finding.index)).toEqual([index])
      },
    ),
  )
})
