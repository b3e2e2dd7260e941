import { shardStates } from "../../schemas/database/ledger.ts"
import { describeRead } from "../../shared/day/describe-read.ts"
import { isFinished } from "../../shared/ledger/runs/run-progress.ts"
import { formatAmount } from "../../shared/terminal/render-amount.ts"
import { formatCount, formatDuration } from "../../shared/terminal/render-numbers.ts"
import { renderProgress } from "../../shared/terminal/render-progress.ts"
import { renderTable } from "../../shared/terminal/render-table.ts"
import { renderFaults, renderTotals } from "../../shared/terminal/render-verdict.ts"
import { renderRetry } from "./render-retry.ts"
import type { RunDetail } from "./run-detail.ts"

/** One run in detail, as lines for people. Amounts have `scale` decimals. */
export function renderRun(detail: RunDetail, scale: number): string[] {
  const { run, progress, verdict, audit } = detail
  const facts = [
    ["date", `${run.revenueDate} in ${run.timeZone}, from ${formatAt(run.fromAt)} to ${formatAt(run.toAt)}`],
    ["version", `${run.version}, ${renderShown(detail)}`],
    ...(audit ? [["audited", renderAudit(audit)]] : []),
    ["asked", `${formatAt(run.requestedAt)} by message ${run.requestId}${renderAsker(run)}`],
    ...(run.pausedAt
      ? [["paused", `${formatAt(run.pausedAt)}: its tasks have ended, others come when it goes on`]]
      : []),
    ...(run.throttled ? [["waits", run.throttled]] : []),
    ...(run.decidedAt ? [["decided", `${formatAt(run.decidedAt)}, after ${formatDuration(progress.elapsedMs)}`]] : []),
    ["shop", describeRead(run)],
    ["shards", renderShards(detail)],
    ...(isFinished(progress) ? [] : [["progress", renderProgress(progress)]]),
    ...(verdict?.reason ? [["reason", verdict.reason]] : []),
  ]
  const columns = [{ title: "" }, { title: "" }]
  return [
    `run ${run.runId}: ${run.state}`,
    ...indent(renderTable(columns, facts)),
    ...section("dispatches", renderDispatches(detail)),
    ...section("totals", verdict ? renderTotals(verdict, scale) : renderComputed(detail, scale)),
    ...section("faults", renderFaults(detail.faults.map(withLog), detail.verdict?.faultsInAll)),
    ...section("rerun", verdict ? renderRetry(verdict) : []),
    ...section("documents", renderTable(columns, listPlaces(detail))),
  ]
}

/** `, Ada via cli (new rates)`. */
function renderAsker({ askedBy, via, note }: RunDetail["run"]): string {
  const who = [askedBy, via === null ? null : `via ${via}`].filter((part) => part !== null).join(" ")
  return `${who === "" ? "" : `, ${who}`}${note === null ? "" : ` (${note})`}`
}

function renderAudit({ auditedAt, state, usersDiffering }: NonNullable<RunDetail["audit"]>): string {
  const found = state === "same" ? "the shop is the same" : `the shop differs for ${formatCount(usersDiffering)} users`
  return `${auditedAt ? formatAt(auditedAt) : ""}: ${found}`
}

function renderShown({ run, publishedVersion }: RunDetail): string {
  if (publishedVersion === run.version) return "shown to readers"
  return publishedVersion === undefined
    ? "readers see nothing of this date yet"
    : `readers see version ${publishedVersion}`
}

function renderShards({ run, progress }: RunDetail): string {
  const counts = shardStates
    .filter((state) => progress.shards[state] > 0)
    .map((state) => `${formatCount(progress.shards[state])} ${state}`)
  if (counts.length === 0) return "none planned yet"
  return `${run.shardCount === null ? "being planned" : formatCount(run.shardCount)}: ${counts.join(", ")}`
}

function renderDispatches({ dispatches, files }: RunDetail): string[] {
  return renderTable(
    [{ title: "", align: "right" }, { title: "" }, { title: "" }, { title: "" }],
    dispatches.map(({ dispatch, shardCount, reported, execution, openedAt }) => [
      String(dispatch),
      formatAt(openedAt),
      `${formatCount(reported)} of ${shardCount === null ? "?" : formatCount(shardCount)} shards reported`,
      execution ? `execution ${execution}${files ? `, logs in ${files.logs}/${execution}` : ""}` : "no execution yet",
    ]),
  )
}

/** Before the verdict: what the computed shards add up to so far. */
function renderComputed({ totals }: RunDetail, scale: number): string[] {
  return [
    `${formatCount(totals.rows ?? 0n)} rows of ${formatCount(totals.purchases)} purchases, amount ${formatAmount(totals.amountCents, scale)}, so far`,
  ]
}

function listPlaces({ documents, files }: RunDetail): string[][] {
  return [
    ["plan", documents.plan],
    ["manifests", documents.manifests],
    ["verdict", documents.verdict],
    ...(files ? [["as files", files.folder]] : []),
  ]
}

function withLog(fault: RunDetail["faults"][number]) {
  return { ...fault, reason: fault.log ? `${fault.reason} (log: ${fault.log})` : fault.reason }
}

function section(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : [`  ${title}`, ...indent(indent(lines))]
}

function indent(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`)
}

/** To the second, in UTC. */
function formatAt(at: Date): string {
  return `${at.toISOString().slice(0, 19)}Z`
}
