import { html } from "hono/html"
import { describeDuty } from "../../../shared/ledger/duties/describe-duty.ts"
import type { View } from "../read-view.ts"
import { formatInstant } from "./format.ts"
import type { Html } from "./place.ts"

/** Duties of the sweep that keep failing: what, since when, why, and what a person does about it. */
export function renderDuties({ failingDuties, timeZone }: View): Html[] {
  return failingDuties.map((duty) => {
    const { name, effect, failures, failingSince, lastError, next } = describeDuty(duty)
    const since = failingSince ? ` since ${formatInstant(failingSince, timeZone)}` : ""
    return html`<li class="duty"><strong>${name}</strong>
<span>failed ${failures} times in a row${since}. Meanwhile ${effect}.<br>Error: ${lastError}<br>${next}</span></li>`
  })
}
