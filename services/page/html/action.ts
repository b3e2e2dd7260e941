import { html } from "hono/html"
import {
  backfillKindNames,
  type PersonRequest,
  RUNS_AT_ONCE_MAX,
  requestTexts,
} from "../../../shared/messages/person-requests.ts"
import { formatCount } from "../../../shared/terminal/render-numbers.ts"
import type { Preview } from "../preview-action.ts"
import type { Html } from "./place.ts"

/** What an action would do, and the button that does it. */
export function renderActionForm(preview: Preview, day: string | undefined, form: string): Html {
  const { request, title, effects, dates, dateCount, button } = preview
  const rest = dateCount - dates.length
  const isEmpty = (request.do === "backfill" || request.do === "start") && dateCount === 0
  const back = day === undefined ? "/" : `/?day=${day}`
  return html`<section class="do" id="do" aria-labelledby="do-title">
<h2 id="do-title">${title}</h2>
${effects.map((effect) => html`<p>${effect}</p>`)}
${dates.length > 0 ? html`<ul>${dates.map(({ date, reason }) => html`<li>${date}: ${reason}</li>`)}${rest > 0 ? html`<li>and ${formatCount(rest)} more</li>` : ""}</ul>` : ""}
${request.do === "backfill" ? renderBackfillChoice(request) : ""}
<form method="post" action="/do" data-once>
${Object.entries(requestTexts(request)).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<input type="hidden" name="form" value="${form}">
${day === undefined ? "" : html`<input type="hidden" name="day" value="${day}">`}
<label for="note">Why? It is kept with the run and told with its verdict.</label>
<input id="note" name="note" maxlength="1000" autocomplete="off">
<p><button${isEmpty ? html` disabled` : ""}>${button}</button> <a href="${back}">Do nothing</a></p>
</form>
</section>`
}

function renderBackfillChoice({ from, to, which, runsAtOnce }: Extract<PersonRequest, { do: "backfill" }>): Html {
  const option = (value: string, label: string) =>
    html`<option value="${value}"${value === which ? html` selected` : ""}>${label}</option>`
  return html`<form method="get" action="/" class="choice">
<input type="hidden" name="do" value="backfill">
<label>From <input type="date" name="from" value="${from}" required></label>
<label>to <input type="date" name="to" value="${to}" required></label>
<label>days that are <select name="which">${Object.entries(backfillKindNames).map(([value, label]) => option(value, label))}</select></label>
<label>runs at once <input type="number" name="runsAtOnce" min="1" max="${RUNS_AT_ONCE_MAX}" value="${runsAtOnce}" required></label>
<button>Show what it would be</button>
</form>`
}
