import { html } from "hono/html"
import { addDays } from "../../../shared/day/revenue-day.ts"
import type { Day } from "../../../shared/ledger/days/list-days.ts"
import { listWeeks, type View } from "../read-view.ts"
import { formatDate, formatTotals } from "./format.ts"
import type { Html } from "./place.ts"

/** The last five weeks: what each day is in words, and the amount as readers see it. */
export function renderCalendar(view: View): Html {
  const weeks = listWeeks(view.days)
  return html`<section class="calendar" aria-labelledby="calendar">
<h2 id="calendar">Five weeks</h2>
<table>
<thead><tr>${["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${weeks.map(
    (week) => html`<tr>${week.map((day) => (day ? renderCell(day, view) : html`<td class="none"></td>`))}</tr>`,
  )}</tbody>
</table>
</section>`
}

function renderCell(day: Day, { begun, chosen, scale }: View): Html {
  const { date, shown, newest } = day
  if (begun === undefined || date < begun) {
    return html`<td class="none"><span class="date">${dayOfMonth(date)}</span></td>`
  }
  const current = chosen?.day.date === date
  return html`<td class="state-${day.state}${current ? " chosen" : ""}"><a href="/?day=${date}#day"${current ? html` aria-current="date"` : ""}>
<span class="date">${renderDate(date)}</span>
<span class="state">${describeState(day)}</span>
<span class="amount">${shown?.totals ? formatTotals(shown.totals, scale) : ""}</span>
${shown && newest && newest.version !== shown.version ? html`<span class="mark">version ${newest.version} ${newest.state}</span>` : ""}
</a></td>`
}

/** The day of the month to be seen, and the whole date to be heard. */
function renderDate(date: string): Html {
  const seen = dayOfMonth(date)
  const [weekday, , month] = formatDate(date).split(" ")
  return html`<span class="unseen">${weekday} </span>${seen}${seen.includes(" ") ? "" : html`<span class="unseen"> ${month}</span>`}`
}

/** `1 Nov` at the beginning of a month, else `24`. */
function dayOfMonth(date: string): string {
  const day = Number(date.slice(8))
  if (day !== 1 && addDays(date, -1).slice(0, 7) === date.slice(0, 7)) return String(day)
  const month = new Intl.DateTimeFormat("en-GB", { month: "short", timeZone: "UTC" }).format(
    new Date(`${date}T00:00:00Z`),
  )
  return `${day} ${month}`
}

function describeState({ state, shown, lateAt }: Day): string {
  const late = lateAt ? (shown ? ", was late" : ", late") : ""
  return `${state}${late}`
}
