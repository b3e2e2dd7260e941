import type { DayChange, DayChange_Totals } from "../../schemas/messages/day_change_pb.ts"
import type { DayChangeRecord } from "../ledger/days/day-changes.ts"
import { formatAmount } from "../terminal/render-amount.ts"
import { formatCount } from "../terminal/render-numbers.ts"

export type DayState = DayChangeRecord["state"]

// A shop may have a hundred currencies; a person reads a few and then the page.
const CURRENCIES_MAX = 5

/**
 * What each state means to a person, after "The revenue of 2026-11-22 ". Nothing in it is somebody else's text but currency
 * codes: chat tools would take links and mentions from there.
 */
const sentences: Record<DayState, (change: DayChange, scale: number) => string> = {
  shown: (change, scale) =>
    change.auditId === undefined
      ? `is published: ${describeVersion(change.version, change.after, scale)}`
      : `agrees with the shop again: ${describeVersion(change.version, change.after, scale)}`,
  "shown-anew": (change, scale) => `is published again: ${describeReplacement(change, scale)}`,
  repaired: (change, scale) => `is repaired: ${describeReplacement(change, scale)}`,
  drifted: ({ version, before, after }, scale) =>
    `has drifted: readers see ${describeVersion(version, before, scale)}, and the shop now has ${describeTotals(after, scale)}`,
  late: () => "is late: it was not published by its deadline",
  arrived: ({ version, after }, scale) => `was late and is now published: ${describeVersion(version, after, scale)}`,
  erased: ({ version, after }, scale) =>
    `has fewer rows, because a user was erased: ${describeVersion(version, after, scale)}`,
  held: (change, scale) =>
    `is held for review: ${describeVersion(change.version, change.after, scale)} is not published${readersSee(change, scale)}`,
  incomplete: (change, scale) =>
    `is incomplete: version ${change.version} could not be proven${readersSee(change, scale)}`,
}

/** All states of which one may be notified. */
export const dayStates = Object.keys(sentences) as DayState[]

/** A change of a day as one plain sentence with its amounts, of which `scale` digits are decimals. */
export function describeChange(change: DayChange, scale: number): string {
  const describe = sentences[change.state as DayState] ?? (() => `has the state ${change.state}`)
  return `The revenue of ${change.date} ${describe(change, scale)}.`
}

function describeVersion(version: number, totals: DayChange_Totals | undefined, scale: number): string {
  return totals ? `version ${version} with ${describeTotals(totals, scale)}` : `version ${version}`
}

function describeReplacement({ version, after, previousVersion, before }: DayChange, scale: number): string {
  const now = describeVersion(version, after, scale)
  return previousVersion === undefined ? now : `${now} replaces ${describeVersion(previousVersion, before, scale)}`
}

function readersSee({ previousVersion, before }: DayChange, scale: number): string {
  return `, and readers see ${previousVersion === undefined ? "no version" : describeVersion(previousVersion, before, scale)}`
}

/** `242,514 purchases worth 15,717,660.66`, by currency where the shop declares these. */
function describeTotals(totals: DayChange_Totals | undefined, scale: number): string {
  if (!totals) return "purchases that were not counted"
  const { purchases } = totals
  return `${formatCount(purchases)} purchase${purchases === 1n ? "" : "s"} worth ${describeAmounts(totals, scale)}`
}

/** Amounts with their unit, as far as the message says it. */
function describeAmounts({ amountCents, parts }: DayChange_Totals, scale: number): string {
  if (amountCents !== "") return formatAmount(amountCents, scale)
  const amounts = parts.map((part) => `${formatAmount(part.amountCents, scale)} ${describeCurrency(part.currency)}`)
  const more = amounts.length - CURRENCIES_MAX
  const named = more > 0 ? [...amounts.slice(0, CURRENCIES_MAX), `amounts of ${more} more currencies`] : amounts
  if (named.length < 2) return named[0] ?? formatAmount("0", scale)
  return `${named.slice(0, -1).join(", ")} and ${named.at(-1)}`
}

/** The shop's own text: nothing of it may be more than a word. */
function describeCurrency(currency: string | undefined): string {
  if (!currency) return "without currency"
  return /^[\p{L}\p{N}]{1,16}$/u.test(currency) ? currency : "of another currency"
}
