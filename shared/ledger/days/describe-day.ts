import { dayFields } from "../../day/totals-fields.ts"
import { type Day, findWant } from "./list-days.ts"

/** The one thing that a person would do about a day; undefined where there is nothing to be done. */
export function describeWant(day: Day): string | undefined {
  const want = findWant(day)
  if (!want) return undefined
  const reason = want.reason === undefined ? "" : `${want.reason.startsWith("or ") ? "," : ":"} ${want.reason}`
  return `${want.action} ${day.date}${reason}`
}

/** A day as a document has it. */
export function describeDay(day: Day) {
  const { date, state, shown, newest, lateAt } = day
  return {
    date,
    state,
    shown: shown
      ? {
          version: shown.version,
          since: shown.since,
          ...(shown.totals && dayFields(shown.totals)),
          auditedAt: shown.auditedAt,
        }
      : null,
    newest: newest ?? null,
    lateAt: lateAt ?? null,
    wants: describeWant(day) ?? null,
  }
}
