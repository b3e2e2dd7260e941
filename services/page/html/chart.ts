import { html } from "hono/html"
import type { Totals } from "../../../shared/day/totals.ts"
import { formatAmount } from "../../../shared/terminal/render-amount.ts"
import { formatCount } from "../../../shared/terminal/render-numbers.ts"
import type { View } from "../read-view.ts"
import { formatDate } from "./format.ts"
import type { Html } from "./place.ts"

const WIDTH = 700
const HEIGHT = 160
const TOP = 14
const BASE = 140

/** Revenue day by day as bars, and the same weekday before as a line. Amounts of several currencies are not one: then purchases. */
export function renderChart({ days, before, begun, scale }: View): Html | string {
  const dates = days.toReversed().filter(({ date }) => begun !== undefined && date >= begun)
  const shown = dates.flatMap(({ shown: { totals } = { totals: undefined } }) => (totals ? [totals] : []))
  if (shown.length < 2) return ""
  const isAmount = shown.every(({ amountCents }) => amountCents !== undefined)
  const valueOf = (totals: Totals | undefined) => totals && (isAmount ? (totals.amountCents ?? 0n) : totals.purchases)
  const format = (value: bigint) => (isAmount ? formatAmount(value, scale) : formatCount(value))
  const values = dates.map(({ date, shown: seen }) => ({
    date,
    value: valueOf(seen?.totals),
    earlier: valueOf(before.get(date)),
  }))
  const all = values.flatMap(({ value, earlier }) => [value, earlier].filter((one) => one !== undefined))
  const most = all.reduce((a, b) => (a > b ? a : b), 0n)
  const least = all.reduce((a, b) => (a < b ? a : b), 0n)
  const span = Number(most - least) || 1
  const yOf = (value: bigint) => round(TOP + ((BASE - TOP) * Number(most - value)) / span)
  const step = WIDTH / values.length
  const zero = yOf(0n)
  const points = values.flatMap(({ earlier }, at) =>
    earlier === undefined ? [] : [`${round(step * (at + 0.5))},${yOf(earlier)}`],
  )
  const what = isAmount ? "Revenue" : "Purchases"
  return html`<section class="chart" aria-labelledby="chart">
<h2 id="chart">${what} day by day</h2>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${what} of ${values.length} days, at most ${format(most)}; the calendar has each day's.">
<text x="0" y="10" class="scale">${format(most)}</text>
<line x1="0" x2="${WIDTH}" y1="${zero}" y2="${zero}" class="axis"/>
${values.map(({ date, value }, at) => {
  if (value === undefined) return ""
  const y = yOf(value > 0n ? value : 0n)
  const height = Math.max(1, round(Math.abs(yOf(value) - zero)))
  return html`<rect x="${round(step * at + step * 0.15)}" y="${y}" width="${round(step * 0.7)}" height="${height}"><title>${formatDate(date)}: ${format(value)}</title></rect>`
})}
${points.length > 1 ? html`<polyline points="${points.join(" ")}"/>` : ""}
<text x="0" y="${HEIGHT - 4}" class="scale">${values[0]?.date ?? ""}</text>
<text x="${WIDTH}" y="${HEIGHT - 4}" class="scale end">${values.at(-1)?.date ?? ""}</text>
</svg>
<p class="legend"><span class="bar"></span> the day <span class="before"></span> the same weekday before</p>
</section>`
}

const round = (value: number) => Math.round(value * 10) / 10
