import { html } from "hono/html"
import type { Verdict } from "../../../schemas/documents/verdict_pb.ts"
import { manifestFolder, planPath, verdictPath } from "../../../shared/documents/document-paths.ts"
import { isUnfinished } from "../../../shared/ledger/runs/run-transitions.ts"
import { RUNS_AT_ONCE } from "../../../shared/messages/person-requests.ts"
import { formatAmount } from "../../../shared/terminal/render-amount.ts"
import { formatCount, formatDuration } from "../../../shared/terminal/render-numbers.ts"
import type { DayDetail, Version } from "../read-day.ts"
import type { View } from "../read-view.ts"
import { formatDate, formatInstant } from "./format.ts"
import { actionLink, type Html, type Place } from "./place.ts"
import { renderShards } from "./shards.ts"

/** All that is known of one day. */
export function renderDay(detail: DayDetail, view: View, place: Place): Html {
  const { day, version, versions, verdict } = detail
  const { date } = day
  return html`<section class="day" id="day" aria-labelledby="day-title">
<h2 id="day-title">${formatDate(date)} <small>${date}</small></h2>
<p class="actions">${renderActions(detail, view, place)}</p>
${
  version
    ? html`${renderVersions(versions, version, date, view)}
${typeof verdict === "string" ? html`<p>${verdict}</p>` : verdict ? renderProof(detail, verdict, view) : ""}
${renderShards(detail, version, view, place)}
${renderDocuments(version, place)}`
    : html`<p>Nobody has asked for it yet.</p>`
}
</section>`
}

function renderActions({ day, version }: DayDetail, view: View, place: Place): (Html | string)[] {
  const { date, newest } = day
  const busy = newest !== undefined && isUnfinished(newest.state)
  const runId = version?.runId ?? ""
  const isNewest = version !== undefined && version.version === newest?.version
  return [
    busy ? actionLink(place, date, { do: "cancel", run: newest.runId }, "Cancel its run") : "",
    isNewest && newest?.state === "held"
      ? actionLink(place, date, { do: "release", run: runId }, "Show it as it is")
      : "",
    isNewest && newest?.state === "incomplete"
      ? actionLink(place, date, { do: "rerun", run: runId }, "Rerun what failed")
      : "",
    busy ? "" : actionLink(place, date, { do: "start", date }, newest ? "Compute it anew" : "Compute it"),
    actionLink(
      place,
      date,
      {
        do: "backfill",
        from: view.days.at(-1)?.date ?? date,
        to: view.days[0]?.date ?? date,
        which: "missing",
        order: "newest-first",
        runsAtOnce: RUNS_AT_ONCE,
      },
      "Fill missing days",
    ),
  ]
}

function renderVersions(versions: Version[], chosen: Version, date: string, { timeZone, scale }: View): Html {
  return html`<h3 id="versions">Versions</h3>
<div class="scroll" tabindex="0" role="region" aria-labelledby="versions"><table>
<thead><tr><th scope="col" class="number">Version</th><th scope="col">State</th><th scope="col" class="number">Users</th><th scope="col" class="number">Purchases</th><th scope="col" class="number">Amount</th><th scope="col">Asked</th><th scope="col" class="number">Took</th><th scope="col">What changed</th><th scope="col">Note</th></tr></thead>
<tbody>${versions.map((version) => {
    const { askedBy, via, note, changes, isShown, state, decidedAt, requestedAt } = version
    const who = [askedBy, via === null ? null : `via ${via}`].filter((part) => part !== null).join(" ")
    return html`<tr${version === chosen ? html` class="chosen"` : ""}><td class="number"><a href="/?day=${date}&amp;version=${version.version}#day">${version.version}</a></td>
<td>${state}${isShown ? html`, <strong>shown</strong>` : ""}</td>
<td class="number">${formatNumber(version.users)}</td><td class="number">${formatNumber(version.purchases)}</td><td class="number">${version.users === undefined ? "" : formatAmount(version.amountCents, scale)}</td>
<td>${formatInstant(requestedAt, timeZone)}${who === "" ? "" : html`<br>${who}`}</td>
<td class="number">${decidedAt ? formatDuration(decidedAt.getTime() - requestedAt.getTime()) : ""}</td>
<td>${changes ? `of version ${changes.fromVersion}: ${formatNumber(changes.added)} users added, ${formatNumber(changes.changed)} changed, ${formatNumber(changes.removed)} removed` : ""}</td>
<td class="note">${note ?? ""}</td></tr>`
  })}</tbody>
</table></div>`
}

const formatNumber = (text: string | undefined) => (text === undefined ? "" : formatCount(BigInt(text)))

const FAULTS_SHOWN_MAX = 20

/** What each part of the evidence adds up to: all the same is the proof. */
function renderProof({ version, strip }: DayDetail, verdict: Verdict, { scale }: View): Html {
  const shards = strip.reduce((sum, cell) => sum + cell.shards, 0)
  const done = strip.reduce((sum, { states }) => sum + (states.done ?? 0), 0)
  const sides = [
    { name: "Plan", shards: version?.shardCount ?? shards, totals: undefined },
    { name: "Manifests", shards: done, totals: verdict.manifests },
    { name: "Rows of Revenue", shards: undefined, totals: verdict.revenue },
    { name: "The shop", shards: undefined, totals: verdict.source },
    { name: "The shop, guests", shards: undefined, totals: verdict.guests },
  ]
  const rows = sides.flatMap(({ name, shards: count, totals }) => [
    {
      name,
      shards: count,
      rows: totals?.rows,
      purchases: totals?.purchases,
      amount: totals && formatAmount(totals.amountCents, scale),
    },
    ...(totals?.parts ?? [])
      .filter(({ currency }) => currency !== undefined)
      .map((part) => ({
        name: part.currency || "without currency",
        shards: undefined,
        rows: part.rows,
        purchases: part.purchases,
        amount: formatAmount(part.amountCents, scale),
      })),
  ])
  return html`<h3 id="proof">The proof: ${verdict.verdict}${verdict.reason === undefined ? "" : html`, ${verdict.reason}`}</h3>
<div class="scroll" tabindex="0" role="region" aria-labelledby="proof"><table>
<thead><tr><th scope="col"></th><th scope="col" class="number">Shards</th><th scope="col" class="number">Users</th><th scope="col" class="number">Purchases</th><th scope="col" class="number">Amount</th></tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr><th scope="row">${row.name}</th><td class="number">${row.shards === undefined ? "" : formatCount(row.shards)}</td><td class="number">${row.rows === undefined ? "" : formatCount(row.rows)}</td><td class="number">${row.purchases === undefined ? "" : formatCount(row.purchases)}</td><td class="number">${row.amount ?? ""}</td></tr>`,
  )}</tbody>
</table></div>
${renderFindings(verdict)}`
}

function renderFindings({ faults, faultsInAll, checks }: Verdict): Html | string {
  if (faults.length + checks.length === 0) return ""
  const rest = Number(faultsInAll ?? faults.length) - FAULTS_SHOWN_MAX
  return html`<ul class="findings">
${checks.map(({ name, severity, meaning, rows }) => html`<li><strong>${name}</strong> (${severity}): ${meaning}${rows.length > 0 ? html`<br><code>${rows.slice(0, 3).join(" ")}</code>` : ""}</li>`)}
${faults.slice(0, FAULTS_SHOWN_MAX).map(({ index, fault, reason }) => html`<li><strong>${fault}</strong>${index === undefined ? "" : html` shard ${index}`}: ${reason}</li>`)}
${rest > 0 ? html`<li>and ${formatCount(rest)} more, in the verdict's document</li>` : ""}
</ul>`
}

function renderDocuments({ runId }: Version, place: Place): Html {
  const documents = [
    ["Plan", planPath(runId)],
    ["Manifests", manifestFolder(runId)],
    ["Verdict", verdictPath(runId)],
  ] as const
  return html`<h3>Documents</h3>
<dl>${documents.map(([name, path]) => html`<dt>${name}</dt><dd>${renderPath(path, place)}</dd>`)}<dt>Run</dt><dd><code>${runId}</code></dd></dl>`
}

function renderPath(path: string, { bucket, localFolder }: Place): Html {
  if (localFolder !== undefined) return html`<code>${localFolder}/bucket/${bucket}/${path}</code>`
  const isFolder = path.endsWith("/")
  const console = `https://console.cloud.google.com/storage/browser/${isFolder ? "" : "_details/"}${bucket}/${path}`
  return html`<a href="${console}" rel="noreferrer"><code>gs://${bucket}/${path}</code></a>`
}
