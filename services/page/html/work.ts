import { html } from "hono/html"
import { purchasesPerSecond } from "../../../shared/ledger/runs/run-progress.ts"
import { formatCount, formatDuration, formatNumberOf } from "../../../shared/terminal/render-numbers.ts"
import type { BackfillAtWork, RunAtWork, View } from "../read-view.ts"
import { formatDate, formatInstant } from "./format.ts"
import { actionLink, type Html, type Place } from "./place.ts"

/** What runs, what waits, and what everything waits for. */
export function renderWork(view: View, place: Place): Html | string {
  const { atWork, unfinished, backfills, pause } = view
  if (atWork.length === 0 && backfills.length === 0 && !pause) {
    return place.canAct
      ? html`<p class="quiet">Nothing runs. ${actionLink(place, view.chosen?.day.date, { do: "pause" }, "Pause everything")}</p>`
      : html`<p class="quiet">Nothing runs.</p>`
  }
  const rest = unfinished - atWork.length
  return html`<section class="work" aria-labelledby="work">
<h2 id="work">What runs</h2>
${pause ? renderPause(view, place) : ""}
${atWork.map((run) => renderRun(run, place))}
${rest > 0 ? html`<p>${formatNumberOf(rest, "more run")} that waits or works.</p>` : ""}
${backfills.map((backfill) => renderBackfill(backfill, place))}
${pause ? "" : html`<p>${actionLink(place, view.chosen?.day.date, { do: "pause" }, "Pause everything")}</p>`}
</section>`
}

function renderPause({ pause, timeZone, chosen }: View, place: Place): Html | string {
  if (!pause) return ""
  const { askedBy, note, changedAt, untilAt, tasksAtWork } = pause
  return html`<p class="pause"><strong>Everything pauses</strong>${changedAt ? html` since ${formatInstant(changedAt, timeZone)}` : ""}${askedBy === null ? "" : html`, asked by ${askedBy}`}${note === null ? "" : html` (${note})`}${untilAt ? html`, until ${formatInstant(untilAt, timeZone)}` : ""}:
${tasksAtWork === 0 ? "no task is at work." : `${formatNumberOf(tasksAtWork, "task")} still at work.`}
${actionLink(place, chosen?.day.date, { do: "resume" }, "Let it go on")}</p>`
}

function renderRun({ progress, throttled, pausedAt }: RunAtWork, place: Place): Html {
  const { date, version, state, shardCount, shards, tasks } = progress
  const facts = [
    shardCount === undefined ? "" : `${formatCount(shards.done)} of ${formatNumberOf(shardCount, "shard")}`,
    shards.failed > 0 ? `${formatCount(shards.failed)} failed` : "",
    tasks > 0 ? `${formatNumberOf(tasks, "task")} at work` : "",
    `${formatDuration(progress.elapsedMs)} so far`,
    describeLeft(progress),
  ].filter((fact) => fact !== "")
  return html`<div class="run">
<p><a href="/?day=${date}#day">${formatDate(date)}</a>, version ${version}: <strong>${pausedAt ? "paused" : state}</strong></p>
<progress max="${shardCount ?? 1}" value="${shards.done}" aria-label="Shards of ${date} that are done"></progress>
<p>${facts.join(", ")}</p>
${throttled === null ? "" : html`<p class="throttled">${state === "verifying" ? "Its verification waits" : "Its tasks wait"} for the database: ${throttled}</p>`}
${actionLink(place, date, { do: "cancel", run: progress.runId }, "Cancel it")}
</div>`
}

/** By the speed so far, of the shards that are left. */
function describeLeft(progress: RunAtWork["progress"]): string {
  const { shardCount, shards, purchases, state } = progress
  const speed = purchasesPerSecond(progress)
  if (state !== "running" || shardCount === undefined || shards.done === 0 || speed === 0) return ""
  const left = (Number(purchases) / shards.done) * (shardCount - shards.done)
  return `about ${formatDuration((left / speed) * 1_000)} left`
}

function renderBackfill({ backfill, counts, left }: BackfillAtWork, place: Place): Html {
  const { backfillId, fromDate, toDate, state, askedBy, note } = backfill
  const { waiting, asked, done, failed, cancelled } = counts
  const all = waiting + asked + done + failed + cancelled
  const id = { backfill: backfillId }
  return html`<div class="run">
<p>Backfill from ${fromDate} to ${toDate}${askedBy === null ? "" : html`, asked by ${askedBy}`}${note === null ? "" : html` (${note})`}: <strong>${state === "at-work" ? "at work" : state}</strong></p>
<progress max="${all}" value="${done + failed}" aria-label="Days of the backfill that are decided"></progress>
<p>${formatCount(done)} of ${formatNumberOf(all, "day")} done, ${formatCount(failed)} failed, ${formatCount(asked)} at work${left && waiting + asked > 0 ? `, ${formatDuration(left.fromMs)} to ${formatDuration(left.toMs)} left` : ""}</p>
${
  state === "paused"
    ? actionLink(place, undefined, { do: "resume", ...id }, "Let it go on")
    : actionLink(place, undefined, { do: "pause", ...id }, "Pause it")
} ${actionLink(place, undefined, { do: "cancel", ...id }, "Cancel it")}
</div>`
}
