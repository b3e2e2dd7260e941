import { html } from "hono/html"
import type { PersonRequest } from "../../../shared/messages/person-requests.ts"
import type { Asked } from "../read-asked.ts"
import type { View } from "../read-view.ts"
import { renderActionForm } from "./action.ts"
import { renderCalendar } from "./calendar.ts"
import { renderChart } from "./chart.ts"
import { renderDay } from "./day.ts"
import { renderDuties } from "./duties.ts"
import { formatDate, formatInstant } from "./format.ts"
import { actionLink, type Html, type Place } from "./place.ts"
import { renderWork } from "./work.ts"

export function renderDocument(view: View, place: Place): Html {
  const title = view.headline ? `${view.headline.sentence} · Daybook` : "Daybook"
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="/assets/icon.svg">
<link rel="stylesheet" href="/assets/page.css">
<script src="/assets/idiomorph.js" defer></script>
<script src="/assets/page.js" type="module"></script>
</head>
<body>
<a class="skip" href="#main">To the day</a>
<header><a href="/">Daybook</a><span>${view.timeZone}</span>${place.viewer === undefined ? "" : html`<span class="viewer">${place.viewer}</span>`}</header>
<p id="lost" role="status" hidden></p>
${renderMain(view, place)}
<footer>As of ${formatInstant(view.now, view.timeZone)} · <a href="/api/openapi.json">the same as JSON</a></footer>
</body>
</html>
`
}

function renderMain(view: View, place: Place): Html {
  return html`<main id="main" tabindex="-1" data-poll="${place.pollMs}" data-etag="${place.etag}">
${renderAsked(place.asked)}
${renderHeadline(view, place)}
${place.preview ? renderActionForm(place.preview, place.day ?? view.chosen?.day.date, place.form) : ""}
${renderWants(view, place)}
${renderWork(view, place)}
${view.begun === undefined ? "" : html`${renderCalendar(view)}${renderChart(view)}`}
${view.chosen ? renderDay(view.chosen, view, place) : ""}
</main>`
}

function renderAsked(asked: Asked | undefined): Html | string {
  if (!asked) return ""
  return asked.rejection === undefined
    ? html`<p class="asked" role="status">Asked: message <code>${asked.messageId}</code>.</p>`
    : html`<p class="asked rejected" role="alert">Message <code>${asked.messageId}</code> was rejected: ${asked.rejection}</p>`
}

function renderHeadline({ headline, begun, days }: View, place: Place): Html {
  if (!headline) {
    return html`<section class="headline open" aria-labelledby="headline">
<h1 id="headline">No day has been computed yet.</h1>
<p>Publish one to <code>run-requests</code>, or ${actionLink(place, undefined, { do: "start", date: days[0]?.date ?? "" }, "compute yesterday")}</p>
</section>`
  }
  return html`<section class="headline ${headline.mood}" aria-labelledby="headline">
<h1 id="headline">${headline.sentence}</h1>
${headline.details.map((detail) => html`<p>${detail}</p>`)}
${begun === undefined ? actionLink(place, headline.date, { do: "start", date: headline.date }, "Compute it") : ""}
</section>`
}

const wantWords = { start: "Compute it", release: "Show it as it is", rerun: "Rerun it" }

function renderWants(view: View, place: Place): Html | string {
  const { wants, failingDuties } = view
  if (wants.length === 0 && failingDuties.length === 0) return ""
  return html`<section class="wants" aria-labelledby="wants">
<h2 id="wants">What wants you</h2>
<ul>${renderDuties(view)}${wants.map(({ day, want }) => {
    const runId = day.newest?.runId ?? ""
    const request: PersonRequest =
      want.action === "start" ? { do: "start", date: day.date } : { do: want.action, run: runId }
    const reason = want.reason?.startsWith("or ") ? undefined : want.reason
    return html`<li class="state-${day.state}"><a href="/?day=${day.date}#day">${formatDate(day.date)}</a>
<span>${day.state}${day.lateAt && !day.shown ? ", late" : ""}${reason === undefined ? "" : html`: ${reason}`}</span>
${actionLink(place, day.date, request, wantWords[want.action])}</li>`
  })}</ul>
</section>`
}
