import { addDays, instantOf } from "../../shared/day/revenue-day.ts"
import type { Totals } from "../../shared/day/totals.ts"
import type { Day } from "../../shared/ledger/days/list-days.ts"
import { formatCount } from "../../shared/terminal/render-numbers.ts"
import { formatClock, formatDate, formatRoughly, formatShare, formatTotals } from "./html/format.ts"

/** What there is to say first of the day that ended. */
export interface Headline {
  date: string
  /** `good`: readers see it. `bad`: a person is wanted. `open`: it may still come by itself. */
  mood: "good" | "bad" | "open"
  /** One sentence. */
  sentence: string
  /** What else one would ask, each a sentence or less. */
  details: string[]
}

export interface HeadlineFacts {
  day: Day
  /** Of the same weekday before, if readers see that. */
  before: Totals | undefined
  now: Date
  timeZone: string
  /** HH:MM */
  deadline: string | undefined
  /** How many decimals amounts have. */
  scale: number
}

export function describeHeadline({ day, before, now, timeZone, deadline, scale }: HeadlineFacts): Headline {
  const { date, shown } = day
  const dueAt = deadline === undefined ? undefined : instantOf(addDays(date, 1), deadline, timeZone)
  const name = formatDate(date)
  if (shown) {
    const { mood, verb } = describeShown(day)
    return {
      date,
      mood,
      sentence: `${name} ${verb}.`,
      details: describeDetails(day, before, { timeZone, dueAt, scale }),
    }
  }
  const { mood, verb } = describeAbsent(day)
  const isLate = dueAt !== undefined && now >= dueAt
  const due =
    dueAt &&
    `The deadline ${isLate ? "was" : "is"} ${formatClock(dueAt, addDays(date, 1), timeZone)}, ${describeDistance(dueAt, now)}.`
  return {
    date,
    mood: isLate ? "bad" : mood,
    sentence: `${name} ${verb}.`,
    details: [
      ...(due ? [due] : []),
      ...(before ? [`${formatDate(addDays(date, -7))} had ${formatTotals(before, scale)}.`] : []),
    ],
  }
}

function describeShown({ state, newest, shown }: Day): { mood: Headline["mood"]; verb: string } {
  if (state === "drifted") return { mood: "bad", verb: "has changed in the shop since it was shown" }
  const isNewer = newest !== undefined && newest.version > (shown?.version ?? 0)
  if (!isNewer) return { mood: "good", verb: "is there" }
  const said: Partial<Record<string, string>> = {
    held: `is there, and a newer version ${newest.version} is held`,
    incomplete: `is there, and a newer version ${newest.version} is incomplete`,
    cancelled: "is there",
  }
  const verb = said[newest.state]
  if (verb === undefined) return { mood: "good", verb: `is there, and version ${newest.version} is on its way` }
  return { mood: newest.state === "cancelled" ? "good" : "bad", verb }
}

function describeAbsent({ state, newest }: Day): { mood: Headline["mood"]; verb: string } {
  const version = newest ? `version ${newest.version}` : ""
  const said: Partial<Record<Day["state"], { mood: Headline["mood"]; verb: string }>> = {
    missing: { mood: "open", verb: "is not there: nobody has asked for it" },
    waiting: { mood: "open", verb: "is not there yet: its run waits for its turn" },
    planning: { mood: "open", verb: "is not there yet: its run is being planned" },
    running: { mood: "open", verb: "is not there yet: its run is being computed" },
    verifying: { mood: "open", verb: "is not there yet: its run is being verified" },
    held: { mood: "bad", verb: `is held: a check objects to ${version}` },
    incomplete: { mood: "bad", verb: `is not there: ${version} is incomplete` },
    cancelled: { mood: "bad", verb: `is not there: ${version} was cancelled` },
  }
  // A run was complete, and its version was taken from readers by hand.
  return said[state] ?? { mood: "bad", verb: "is not there" }
}

function describeDetails(
  { date, shown }: Day,
  before: Totals | undefined,
  { timeZone, dueAt, scale }: { timeZone: string; dueAt: Date | undefined; scale: number },
): string[] {
  if (!shown) return []
  const { totals, version, since } = shown
  const lead = dueAt && describeLead(since, dueAt)
  const at = `Version ${version} since ${formatClock(since, addDays(date, 1), timeZone)}${lead ? `, ${lead}` : ""}.`
  if (!totals) return [at]
  const change = before && compare(totals, before)
  const weekBefore = before
    ? [`${formatDate(addDays(date, -7))} had ${formatTotals(before, scale)}${change ? ` (${change})` : ""}.`]
    : []
  return [`${describeTotals(totals, scale)}.`, at, ...weekBefore]
}

function describeTotals(totals: Totals, scale: number): string {
  const purchases = `${formatTotals(totals, scale)} in ${formatCount(totals.purchases)} purchases`
  return totals.rows === undefined ? purchases : `${formatCount(totals.rows)} users spent ${purchases}`
}

function compare(after: Totals, before: Totals): string | undefined {
  if (after.amountCents === undefined || before.amountCents === undefined) return undefined
  return formatShare(after.amountCents, before.amountCents)
}

function describeLead(since: Date, dueAt: Date): string {
  const ms = dueAt.getTime() - since.getTime()
  return ms >= 0 ? `${formatRoughly(ms)} before the deadline` : `${formatRoughly(-ms)} after the deadline`
}

function describeDistance(at: Date, now: Date): string {
  const ms = at.getTime() - now.getTime()
  return ms > 0 ? `in ${formatRoughly(ms)}` : `${formatRoughly(-ms)} ago`
}
