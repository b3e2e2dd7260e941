import type { Verdict, Verdict_Fault } from "../../schemas/documents/verdict_pb.ts"
import type { Totals } from "../day/totals.ts"
import { parseChange, parseTotals } from "../day/totals-fields.ts"
import { formatAmount } from "./render-amount.ts"
import { renderChanges } from "./render-changes.ts"
import { formatCount, formatNumberOf } from "./render-numbers.ts"
import { renderTable } from "./render-table.ts"

// A verdict may name every one of 10,000 shards; a person reads the first few and then the document.
const FAULTS_SHOWN_MAX = 20

/** A verdict as lines for people. Amounts have `scale` decimals. */
export function renderVerdict(verdict: Verdict, scale: number): string[] {
  return [
    `${verdict.verdict}: ${verdict.date} version ${verdict.version}, ${formatNumberOf(verdict.shards, "shard")}, run ${verdict.runId}`,
    ...(verdict.reason === undefined ? [] : [`  ${verdict.reason}`]),
    // Nothing is known of what was not verified.
    ...(isVerified(verdict) ? renderTotals(verdict, scale) : []).map((line) => `  ${line}`),
    ...renderVersionChanges(verdict.changes, scale).map((line) => `  ${line}`),
    ...renderFaults(verdict.faults, verdict.faultsInAll).map((line) => `  ${line}`),
  ]
}

function isVerified({ verdict, faults }: Verdict): boolean {
  return verdict !== "cancelled" && !faults.some(({ fault }) => fault === "unverified")
}

/** Users, purchases and amount, with the guests apart. */
export function renderTotals(verdict: Pick<Verdict, "revenue" | "source" | "guests">, scale: number): string[] {
  return renderSides(
    [
      { name: "Revenue", totals: verdict.revenue && parseTotals(verdict.revenue) },
      { name: "shop, known users", totals: verdict.source && parseTotals(verdict.source) },
      { name: "shop, guests", totals: verdict.guests && parseTotals(verdict.guests) },
    ],
    scale,
  )
}

/** What several sides add up to, with a line for each currency and a column for each measure. */
export function renderSides(sides: { name: string; totals: Totals | undefined }[], scale: number): string[] {
  const right = "right" as const
  const columns = [{ title: "" }, { title: "users", align: right }, { title: "purchases", align: right }]
  const measures = Object.keys(sides.flatMap(({ totals }) => totals?.parts ?? [])[0]?.measures ?? {})
  return renderTable(
    [...columns, ...["amount", ...measures].map((title) => ({ title, align: right }))],
    sides.flatMap(({ name, totals }) => renderSide(name, totals, measures, scale)),
  )
}

/** A line, and one for each currency. */
function renderSide(name: string, totals: Totals | undefined, measures: string[], scale: number): string[][] {
  const parts = totals?.parts ?? []
  const ofAll = parts.find(({ currency }) => currency === undefined)
  const cells = (sums: Record<string, bigint> | undefined) =>
    measures.map((measure) => (sums === undefined ? "" : formatAmount(sums[measure], scale)))
  return [
    [
      name,
      totals?.rows === undefined ? "" : formatCount(totals.rows),
      totals ? formatCount(totals.purchases) : "unknown",
      totals ? formatAmount(totals.amountCents, scale) : "unknown",
      ...cells(ofAll?.measures),
    ],
    ...parts
      .filter(({ currency }) => currency !== undefined)
      .map(({ currency, rows, purchases, amountCents, measures: sums }) => [
        `  ${currency === "" ? "no currency" : currency}`,
        rows === undefined ? "" : formatCount(rows),
        formatCount(purchases),
        formatAmount(amountCents, scale),
        ...cells(sums),
      ]),
  ]
}

/** What a version changes of the one that it replaces. */
function renderVersionChanges(changes: Verdict["changes"], scale: number): string[] {
  if (!changes) return []
  const { added, changed, removed, fromVersion, largest, document } = changes
  const counts = `${formatCount(added)} users added, ${formatCount(changed)} changed, ${formatCount(removed)} removed`
  return [
    `compared with version ${fromVersion}: ${counts}`,
    ...(largest.length > 0 ? renderChanges(largest.map(parseChange), scale) : []),
    ...(document === undefined ? [] : [`all of them: ${document}`]),
  ]
}

/** One line for each finding: `failed   shard 3  …`. Of more than a verdict names, `inAll` says how many they are. */
export function renderFaults(
  faults: Pick<Verdict_Fault, "index" | "fault" | "reason">[],
  inAll: bigint | undefined,
): string[] {
  const lines = renderTable(
    [{ title: "" }, { title: "" }, { title: "" }],
    faults
      .slice(0, FAULTS_SHOWN_MAX)
      .map(({ index, fault, reason }) => [fault, index === undefined ? "run" : `shard ${index}`, reason]),
  )
  const rest = Number(inAll ?? faults.length) - FAULTS_SHOWN_MAX
  return rest > 0 ? [...lines, `and ${formatCount(rest)} more: see the verdict's document`] : lines
}
