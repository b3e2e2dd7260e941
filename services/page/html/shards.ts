import { html } from "hono/html"
import { type ShardState, shardStates } from "../../../schemas/database/ledger.ts"
import type { ShardLine, StripCell } from "../../../shared/ledger/shards/list-shard-lines.ts"
import { formatAmount } from "../../../shared/terminal/render-amount.ts"
import { formatCount, formatDuration } from "../../../shared/terminal/render-numbers.ts"
import type { DayDetail, Version } from "../read-day.ts"
import type { View } from "../read-view.ts"
import type { Html, Place } from "./place.ts"

const CELL_WIDTH = 5
const HEIGHT = 18
// What a cell of several shards is coloured by: the first of these that one of them is in.
const worstFirst: ShardState[] = ["failed", "missing", "claimed", "offered", "done"]

export function renderShards(detail: DayDetail, version: Version, { scale }: View, place: Place): Html | string {
  const { strip, shards, shardPage, shardPages, day } = detail
  if (strip.length === 0) return ""
  const counts = shardStates.flatMap((state) => {
    const count = strip.reduce((sum, { states }) => sum + (states[state] ?? 0), 0)
    return count > 0 ? [`${formatCount(count)} ${state}`] : []
  })
  const pageLink = (page: number, label: string) =>
    html`<a href="/?day=${day.date}&amp;version=${version.version}&amp;shards=${page}#shards">${label}</a>`
  return html`<h3 id="shards">Shards: ${counts.join(", ")}</h3>
${renderStrip(strip, counts.join(", "))}
<div class="scroll" tabindex="0" role="region" aria-labelledby="shards"><table>
<thead><tr><th scope="col" class="number">Shard</th><th scope="col">State</th><th scope="col" class="number">Users</th><th scope="col" class="number">Purchases</th><th scope="col" class="number">Amount</th><th scope="col" class="number">Took</th><th scope="col">Task.attempt</th><th scope="col">Error</th></tr></thead>
<tbody>${shards.map((shard) => renderShard(shard, scale, place))}</tbody>
</table></div>
${
  shardPages > 1
    ? html`<p class="pages">${shardPage > 1 ? pageLink(shardPage - 1, "before") : ""} page ${shardPage} of ${formatCount(shardPages)} ${shardPage < shardPages ? pageLink(shardPage + 1, "next") : ""}</p>`
    : ""
}`
}

function renderStrip(strip: StripCell[], label: string): Html {
  const width = strip.length * CELL_WIDTH
  return html`<svg class="strip" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" role="img" aria-label="Shards in their order: ${label}">
${strip.map(({ from, shards, states }, at) => {
  const worst = worstFirst.find((state) => states[state] !== undefined) ?? "offered"
  const name = shards === 1 ? `shard ${from}` : `shards ${from} to ${from + shards - 1}`
  return html`<rect class="shard-${worst}" x="${at * CELL_WIDTH}" y="0" width="${CELL_WIDTH - 1}" height="${HEIGHT}"><title>${name}: ${worst}</title></rect>`
})}</svg>`
}

function renderShard(shard: ShardLine, scale: number, place: Place): Html {
  const { index, state, users, purchases, amountCents, tookMs, error } = shard
  return html`<tr><td class="number">${index}</td><td>${state}</td><td class="number">${users === null ? "" : formatCount(users)}</td><td class="number">${purchases === null ? "" : formatCount(purchases)}</td><td class="number">${users === null ? "" : formatAmount(amountCents ?? undefined, scale)}</td><td class="number">${tookMs === undefined ? "" : formatDuration(tookMs)}</td><td>${renderTask(shard, place)}</td><td class="note">${error ?? ""}</td></tr>`
}

/** With a link to its log, or where the local cloud keeps it. */
function renderTask({ execution, taskIndex, attempt }: ShardLine, { project, localFolder }: Place): Html | string {
  if (execution === null) return ""
  const name = `${taskIndex}.${attempt}`
  if (localFolder !== undefined)
    return html`<span title="${localFolder}/logs/${execution}/${name.replace(".", "-")}.log">${name}</span>`
  const query = `resource.type="cloud_run_job"\njsonPayload.execution="${execution}"\njsonPayload.taskIndex=${taskIndex}\njsonPayload.attempt=${attempt}`
  const url = `https://console.cloud.google.com/logs/query;query=${encodeURIComponent(query)}?project=${encodeURIComponent(project)}`
  return html`<a href="${url}" rel="noreferrer">${name}</a>`
}
